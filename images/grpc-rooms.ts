/**
 * The memory that calls may take, of a connection and of all, and the calls that wait for it.
 *
 * Keeps true: a call waits only while its connection holds something that will be given back; the calls of a connection go on in
 * the order in which they came, and no more of them than fit.
 */

/** A connection may have a quarter of the bytes of requests and of answers, so that one client alone does not keep all others out. */
const CONNECTION_SHARE = 4;

/** A call that waits for room. */
export interface WaitingCall {
  /** As many bytes as it is about to take; known better when others of its kind were answered meanwhile. */
  readonly expectedBytes: number;
  /** Lets it on: it takes its bytes before it returns. */
  go(): void;
}

/** What is left of the bytes that requests, or answers, may take: those of a connection, a quarter of those of all. */
export class Room {
  readonly #byteCount: number;
  readonly #whole: Room | undefined;
  /** Of a connection: its calls that wait, in the order in which they came. */
  readonly #waiting = new Set<WaitingCall>();
  /** Of the whole: the connections with calls that wait, first the one that has not had a turn for longest. */
  readonly #waitingShares = new Set<Room>();
  #taken = 0;

  constructor(byteCount: number, whole?: Room) {
    this.#byteCount = byteCount;
    this.#whole = whole;
  }

  /** Makes the room of a connection: what is taken there is taken here, too. */
  share(): Room {
    return new Room(this.#byteCount / CONNECTION_SHARE, this);
  }

  has(byteCount: number): boolean {
    return this.#taken + byteCount <= this.#byteCount && this.#whole?.has(byteCount) !== false;
  }

  take(byteCount: number): void {
    this.#taken += byteCount;
    this.#whole?.take(byteCount);
  }

  /** Gives back what was taken: those go on that now have room. */
  give(byteCount: number): void {
    this.take(-byteCount);
    (this.#whole ?? this).#letSharesOn();
  }

  /** Lets the call on when those that came before it were and there is room for it: at once, if there is now. Only a connection's room has calls. */
  enter(call: WaitingCall): void {
    this.#waiting.add(call);
    this.#letCallsOn();
  }

  /** The call does not wait any more, if it did. */
  leave(call: WaitingCall): void {
    // Those behind it may be smaller.
    if (this.#waiting.delete(call)) this.#letCallsOn();
  }

  #letCallsOn(): void {
    while (this.#letNextOn());
    if (this.#whole === undefined) return;
    if (this.#waiting.size > 0) this.#whole.#waitingShares.add(this);
    else this.#whole.#waitingShares.delete(this);
  }

  /** A call of each in turns, as long as there is room: a connection that was let on is looked at again behind all others. */
  #letSharesOn(): void {
    for (const share of this.#waitingShares) {
      if (!share.#letNextOn()) continue;
      this.#waitingShares.delete(share);
      if (share.#waiting.size > 0) this.#waitingShares.add(share);
    }
  }

  #letNextOn(): boolean {
    const [call] = this.#waiting;
    // Where nothing is taken a call goes on whatever it needs and others hold: nobody can keep out a client that reads its answers.
    if (call === undefined || (this.#taken > 0 && !this.has(call.expectedBytes))) return false;
    this.#waiting.delete(call);
    call.go();
    return true;
  }
}

/** The rooms of a connection, or of all. */
export interface Rooms {
  readonly requests: Room;
  readonly answers: Room;
}

/** The rooms of one connection more. */
export function shareOf(rooms: Rooms): Rooms {
  return { requests: rooms.requests.share(), answers: rooms.answers.share() };
}
