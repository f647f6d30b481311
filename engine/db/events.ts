/** Diagnostics channels: subscribers are told what a database does. No event is built for a channel without subscribers. @see node:diagnostics_channel */
import { channel } from "node:diagnostics_channel";
import type { Recovery } from "../base/recovery.js";

/** What each channel carries; the channel's name is `hexbolt:` and the key. */
export interface Events {
  open: { readonly path: string; readonly readOnly: boolean; readonly pageSize: number; readonly txid: bigint };
  begin: { readonly path: string; readonly txid: bigint; readonly writable: boolean };
  commit: { readonly path: string; readonly txid: bigint; readonly pageCount: number; readonly byteCount: number; readonly syncMs: number };
  rollback: { readonly path: string; readonly txid: bigint; readonly writable: boolean };
  recovery: { readonly path: string; readonly txid: bigint; readonly lostTxid: bigint | undefined; readonly reason: string };
  check: { readonly path: string; readonly txid: bigint; readonly problemCount: number };
}

const CHANNELS = {
  open: channel("hexbolt:open"),
  begin: channel("hexbolt:begin"),
  commit: channel("hexbolt:commit"),
  rollback: channel("hexbolt:rollback"),
  recovery: channel("hexbolt:recovery"),
  check: channel("hexbolt:check"),
} as const;

/** Tells the subscribers of a channel. */
export function publish<Name extends keyof Events>(name: Name, makeEvent: () => Events[Name]): void {
  const target = CHANNELS[name];
  if (target.hasSubscribers) target.publish(makeEvent());
}

/** Never in silence: an event, and for a commit that is lost a process warning too (a torn meta page is what any power cut leaves). */
export function warnOfRecovery(path: string, recovery: Recovery): void {
  publish("recovery", () => ({ path, ...recovery }));
  if (recovery.lostTxid === undefined) return;
  process.emitWarning(`${path}: went back to transaction ${recovery.txid}: ${recovery.reason}`, { code: "HEXBOLT_RECOVERY" });
}
