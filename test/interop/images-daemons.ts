/**
 * Runs private daemons for the image store's interoperability tests: a containerd on a socket of its own, an etcd cluster on
 * loopback. Each lives in the test's temporary folder and ends with the test.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tempPath } from "../support/temp.js";
import type { ChildProcess } from "node:child_process";

/**
 * Says why tests that need these programs are skipped; false when all are there.
 * @throws Error instead when HEXBOLT_REQUIRE_COUNTERPARTS is set, as in CI, where nothing may be skipped
 */
export function missingTools(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined);
  return missing.length === 0 ? false : skipped(`not installed: ${missing.join(", ")}`);
}

/** Says why containerd cannot run here; false when it can. @throws Error as `missingTools` does */
export function missingContainerd(): string | false {
  return missingTools("containerd", "ctr") || (process.getuid?.() === 0 ? false : skipped("containerd needs root"));
}

function skipped(reason: string): string {
  if (process.env["HEXBOLT_REQUIRE_COUNTERPARTS"] !== undefined) throw new Error(reason);
  return reason;
}

/** A containerd that runs. */
export interface Containerd {
  readonly socket: string;
  readonly metaDb: string;
  /** Runs ctr on it and gives what it printed. */
  ctr(...args: readonly string[]): string;
  stop(): Promise<void>;
}

const DISABLED = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.overlayfs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.opt",
];

/** Starts a containerd; `prepare` may put files into its root first. */
export async function startContainerd(prepare?: (metaFolder: string) => void): Promise<Containerd> {
  const folder = tempPath("containerd");
  const metaFolder = join(folder, "root", "io.containerd.metadata.v1.bolt");
  mkdirSync(metaFolder, { recursive: true });
  mkdirSync(join(folder, "state"));
  prepare?.(metaFolder);
  const socket = join(folder, "c.sock");
  const config = join(folder, "config.toml");
  writeFileSync(config, `version = 2
root = "${join(folder, "root")}"
state = "${join(folder, "state")}"
disabled_plugins = ${JSON.stringify(DISABLED)}
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${join(folder, "c.ttrpc")}"
`);
  const log = join(folder, "log");
  const child = spawn("containerd", ["--config", config], { stdio: ["ignore", openSync(log, "w"), openSync(log, "a")] });
  process.once("exit", () => child.kill("SIGKILL"));
  const containerd: Containerd = {
    socket,
    metaDb: join(metaFolder, "meta.db"),
    ctr: (...args) => ctr(socket, ...args).stdout,
    stop: () => stop(child),
  };
  for (let attempt = 0; spawnSync("ctr", ["-a", socket, "version"]).status !== 0; attempt++) {
    if (attempt === 100 || child.exitCode !== null) throw new Error(`containerd does not answer: ${readFileSync(log, "utf8").slice(-2000)}`);
    await sleep(100);
  }
  return containerd;
}

/** Runs ctr on a socket. @throws Error with what it said when it fails */
export function ctr(socket: string, ...args: readonly string[]): { stdout: string; stderr: string } {
  const run = spawnSync("ctr", ["-a", socket, "--timeout", "20s", ...args], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`ctr ${args.join(" ")}: ${run.stderr}`);
  return run;
}

/** Runs ctr without waiting for it on this thread, for a server that lives on it. */
export function ctrAsync(socket: string, ...args: readonly string[]): Promise<{ stdout: string; stderr: string; status: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn("ctr", ["-a", socket, "--timeout", "20s", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => { stdout += text; });
    child.stderr.setEncoding("utf8").on("data", (text: string) => { stderr += text; });
    child.once("error", reject);
    child.once("close", (status) => resolve({ stdout, stderr, status }));
  });
}

/** Ends a process and waits until it has ended. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => { child.once("exit", resolve); });
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(killer);
}

/** An etcd cluster that runs. */
export interface EtcdCluster {
  readonly endpoints: readonly string[];
  /** Ends one member, as its machine would by failing. */
  kill(member: number): Promise<void>;
  /** Lets one member stand still, with what it was sent, until `resume`. */
  pause(member: number): void;
  resume(member: number): void;
  stop(): Promise<void>;
}

/** Starts a cluster of so many members on loopback. */
export async function startEtcd(memberCount: number): Promise<EtcdCluster> {
  const ports = await freePorts(memberCount * 2);
  const members = Array.from({ length: memberCount }, (_, index) => ({
    name: `m${index}`, client: `http://127.0.0.1:${ports[index * 2] ?? 0}`, peer: `http://127.0.0.1:${ports[index * 2 + 1] ?? 0}`,
  }));
  const cluster = members.map((member) => `${member.name}=${member.peer}`).join(",");
  const children = members.map((member) => {
    const folder = tempPath(member.name);
    mkdirSync(folder);
    const child = spawn("etcd", [
      "--name", member.name, "--data-dir", join(folder, "data"), "--listen-client-urls", member.client,
      "--advertise-client-urls", member.client, "--listen-peer-urls", member.peer, "--initial-advertise-peer-urls", member.peer,
      "--initial-cluster", cluster, "--initial-cluster-token", `hexbolt-${process.pid}-${ports[0] ?? 0}`,
      "--heartbeat-interval", "50", "--election-timeout", "500",
    ], { stdio: ["ignore", openSync(join(folder, "log"), "w"), openSync(join(folder, "log"), "a")] });
    process.once("exit", () => child.kill("SIGKILL"));
    return child;
  });
  for (const { client } of members) {
    for (let attempt = 0; !(await answers(client)); attempt++) {
      if (attempt === 150) throw new Error(`etcd does not answer on ${client}`);
      await sleep(100);
    }
  }
  return {
    endpoints: members.map((member) => member.client),
    kill: async (member) => {
      const child = children[member];
      if (child === undefined) throw new Error(`there is no member ${member}`);
      const ended = new Promise((resolve) => { child.once("exit", resolve); });
      child.kill("SIGKILL");
      await ended;
    },
    pause: (member) => { children[member]?.kill("SIGSTOP"); },
    resume: (member) => { children[member]?.kill("SIGCONT"); },
    stop: async () => { await Promise.all(children.map(stop)); },
  };
}

async function answers(client: string): Promise<boolean> {
  try {
    const response = await fetch(`${client}/v3/kv/range`, { method: "POST", body: JSON.stringify({ key: "AA==" }), signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // It is not up yet: the caller asks again.
    return false;
  }
}

/** Finds ports that are free now; all are held until the last is found, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => resolve(server));
  })));
  return Promise.all(servers.map((server) => new Promise<number>((resolve) => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
  })));
}
