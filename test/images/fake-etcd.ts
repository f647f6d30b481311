/**
 * As much of an etcd as the image store uses, in this process: ranges at any revision, transactions, compaction. A test may stand between the
 * store and it, to carry a request out late, or to keep an answer back.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

/** A request of the store, as it came. */
export interface EtcdRequest {
  readonly path: string;
  readonly body: Body;
  /** It is a transaction that changes something. */
  readonly isChange: boolean;
}

interface Range {
  readonly key: string;
  readonly range_end?: string;
  readonly revision?: string;
}

interface Compare {
  readonly key: string;
  readonly target: "CREATE" | "MOD";
  readonly create_revision?: string;
  readonly mod_revision?: string;
}

interface Step {
  readonly request_range?: Range;
  readonly request_put?: { readonly key: string; readonly value: string };
  readonly request_delete_range?: { readonly key: string };
}

type Body = Partial<Range> & { readonly compare?: readonly Compare[]; readonly success?: readonly Step[]; readonly failure?: readonly Step[] };

/** One state of a key; without a value it is deleted. */
interface Version {
  readonly revision: number;
  readonly created: number;
  readonly value: string | undefined;
}

/** What is answered: an object, or nothing, with the connection cut. */
type Answer = object | "cut off";

/** The fake. */
export class FakeEtcd {
  url = "";
  /** Every request that came. */
  readonly requests: EtcdRequest[] = [];
  /** Stands in between; `carryOut` does what the request says, once or more often, and gives the answer. */
  intercept: (request: EtcdRequest, carryOut: () => object) => Promise<Answer> = async (_request, carryOut) => carryOut();
  readonly #keys = new Map<string, Version[]>();
  #revision = 1;
  #compacted = 0;

  /** Forgets what was before now. */
  compact(): void {
    this.#compacted = this.#revision;
  }

  /** Puts bytes that the store would not. */
  put(key: Uint8Array, value: Uint8Array): void {
    this.#revision++;
    this.#write(Buffer.from(key).toString("base64"), Buffer.from(value).toString("base64"));
  }

  async answer(path: string, body: Body): Promise<Answer> {
    const isChange = (body.success ?? []).some((step) => step.request_range === undefined);
    const request = { path, body, isChange };
    this.requests.push(request);
    return this.intercept(request, () => (path === "/v3/kv/range" ? this.#range(body as Range) : this.#transact(body)));
  }

  #transact({ compare = [], failure = [], success = [] }: Body): object {
    const succeeded = compare.every(({ create_revision, key, mod_revision, target }) => {
      const there = this.#at(key, this.#revision);
      return target === "CREATE" ? (there?.created ?? 0) === Number(create_revision) : (there?.revision ?? 0) === Number(mod_revision);
    });
    const steps = succeeded ? success : failure;
    if (steps.some((step) => step.request_range === undefined)) this.#revision++;
    const responses = steps.map((step) => {
      if (step.request_range !== undefined) return { response_range: this.#range(step.request_range) };
      this.#write(step.request_put?.key ?? step.request_delete_range?.key ?? "", step.request_put?.value);
      return {};
    });
    return { header: { revision: String(this.#revision) }, ...(succeeded ? { succeeded } : {}), responses };
  }

  #write(key: string, value: string | undefined): void {
    const versions = this.#keys.get(key) ?? [];
    this.#keys.set(key, versions);
    versions.push({ revision: this.#revision, created: this.#at(key, this.#revision)?.created ?? this.#revision, value });
  }

  #at(key: string, revision: number): Version | undefined {
    const version = this.#keys.get(key)?.findLast((each) => each.revision <= revision);
    return version?.value === undefined ? undefined : version;
  }

  #range({ key, range_end, revision }: Range): object {
    const at = revision === undefined ? this.#revision : Number(revision);
    if (at < this.#compacted) return { code: 11, message: "etcdserver: mvcc: required revision has been compacted" };
    const bytes = (base64: string): Buffer => Buffer.from(base64, "base64");
    const keys = range_end === undefined ? [key] : [...this.#keys.keys()]
      .filter((each) => bytes(each).compare(bytes(key)) >= 0 && bytes(each).compare(bytes(range_end)) < 0)
      .sort((left, right) => bytes(left).compare(bytes(right)));
    const kvs = keys.flatMap((each) => {
      const version = this.#at(each, at);
      return version === undefined ? [] : [{ key: each, value: version.value, create_revision: String(version.created), mod_revision: String(version.revision) }];
    });
    return { header: { revision: String(this.#revision) }, kvs };
  }
}

/** Serves a fake while `use` runs. */
export async function withFakeEtcd(use: (etcd: FakeEtcd) => Promise<void>): Promise<void> {
  const etcd = new FakeEtcd();
  const server = createServer((request, response) => {
    void text(request).then((body) => etcd.answer(request.url ?? "", JSON.parse(body) as Body)).then((answer) => {
      if (answer === "cut off") response.destroy();
      else response.writeHead("code" in answer ? 400 : 200).end(JSON.stringify(answer));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  etcd.url = `http://127.0.0.1:${address.port}`;
  try {
    await use(etcd);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
