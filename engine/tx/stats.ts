/** Counters of a transaction and of a database. Names and meaning are bbolt's, in camel case; times are in milliseconds. @see bbolt TxStats, Stats */

/** Counters of one transaction. */
export interface TxStats {
  /** Pages allocated. */
  pageCount: number;
  /** Bytes of these pages. */
  pageAlloc: number;
  /** Cursors made, those inside iterators and `forEach` among them. */
  cursorCount: number;
  /** Pages that became nodes. */
  nodeCount: number;
  /** Nodes merged with a neighbour. */
  rebalance: number;
  /** Milliseconds that merging took, at commits. */
  rebalanceTime: number;
  /** Pages that nodes were split into beyond the first of each. */
  split: number;
  /** Pages made of nodes. */
  spill: number;
  /** Milliseconds that cutting nodes into pages took, at commits. */
  spillTime: number;
  /** Writes of the storage, those of meta pages among them. */
  write: number;
  /** Milliseconds that these writes and the syncs took. */
  writeTime: number;
}

/** Counters of a database. */
export interface Stats {
  /** Pages that can be used now. */
  freePageN: number;
  /** Pages given up that wait until no reader and no older state needs them. */
  pendingPageN: number;
  /** Bytes of free and pending pages. */
  freeAlloc: number;
  /** Bytes that the stored freelist takes. */
  freelistInuse: number;
  /** Read transactions begun. */
  txN: number;
  /** Read transactions open. */
  openTxN: number;
  /** The sum over all write transactions that have ended. */
  txStats: TxStats;
}

/** Counters at zero. */
export function newTxStats(): TxStats {
  return { pageCount: 0, pageAlloc: 0, cursorCount: 0, nodeCount: 0, rebalance: 0, rebalanceTime: 0, split: 0, spill: 0, spillTime: 0, write: 0, writeTime: 0 };
}

/** Adds the counters of `more` to `sum`. */
export function addTxStats(sum: TxStats, more: TxStats): void {
  for (const name of Object.keys(sum) as (keyof TxStats)[]) sum[name] += more[name];
}
