/** Filters and patterns: containerd's grammar, Go's regular expressions, and no pattern that takes for ever. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseFilters } from "../../images/filters.js";
import { compileGoRegexp } from "../../images/go-regexp.js";
import type { Image } from "../../images/types.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const image: Image = {
  name: "docker.io/library/nginx:1.25",
  target: { mediaType: "application/vnd.oci.image.index.v1+json", digest: "sha256:abc", size: 1, annotations: { note: "x" } },
  labels: { "my-x": "1", env: "prod", "very complex label": "something", "a.b": "dots", empty: "", foo_1: "bar" },
};

test("a filter matches what containerd's would", () => {
  const matching = [
    "", "name", "name==docker.io/library/nginx:1.25", 'name=="docker.io/library/nginx:1.25"', "name~=nginx", "name~=/library\\/nginx/",
    "name~=|^docker[.]io/|", "name!=other", "labels.env", "labels.env==prod", "labels.env!=test", "labels.missing!=anything",
    'labels."very complex label"==something', "labels.a.b==dots", 'labels."a.b"==dots', "labels.empty", "labels.foo_1==bar", "name == docker.io/library/nginx:1.25",
    "target.digest==sha256:abc", "target.mediatype~=index", "annotations.note==x", "name~=nginx, labels.env==prod", "name~=\"ng[i]nx:1\\\\.25$\"",
    'labels."\\x65nv"==prod', 'labels."\\u0065nv"==prod', 'labels."my-x"==1', 'labels."\\145nv"==prod',
  ];
  for (const text of matching) assert.equal(parseFilters([text])(image), true, text);
  const others = [
    "name==nginx", "name~=^nginx", "name!=docker.io/library/nginx:1.25", "labels.missing", "size", "target", "target.size",
    "labels.env==prod,labels.missing", "annotations.other", "labels", "name~=(", "labels.__proto__", "labels.constructor",
  ];
  for (const text of others) assert.equal(parseFilters([text])(image), false, text);
  for (const name of ["\ufeffa", "\u200b", "\x01a", "\x7f"]) assert.equal(parseFilters([`name==${name}`])({ ...image, name }), true, JSON.stringify(name));
  assert.equal(parseFilters([])(image), true);
  assert.equal(parseFilters(["name==other", "labels.env"])(image), true);
});

test("a filter that is none is INVALID and shows the place", () => {
  const bad = [
    "==", "name==", "name=prod", "name===a", "name==/a/", "name==|a|", "labels.", ".name", "name,", ",name", "name==a b", 'name=="open', "name~=/open",
    'labels."\\q"', 'labels."\\x4"', 'labels."\\400"', "name==a,,b", "na me==x", "name!a", "ü==x", "labels.'x'", 'name=="a"b', "name==\0", "name==a\x01",
    "labels.my-x==1", "my-x", "-q",
  ];
  for (const text of bad) assert.throws(() => parseFilters([text]), { code: "INVALID", message: /^filter: \[/ }, text);
});

test("the character that stands for broken text is in no filter, and neither is half of one", () => {
  for (const text of ["name==\ufffd", 'name=="\ufffd"', "name~=a\ufffdb", "name~=|\ufffd|", "\ufffd", 'labels."\ufffd"', "name==a\ufffd", "name==\ud800", 'name=="a\udc00"']) {
    assert.throws(() => parseFilters([text]), { code: "INVALID", message: /^filter: \[.*>\|.\|<.*\]: illegal character$/u }, JSON.stringify(text));
  }
});

test("an escape that names no character is that character, as far as Go's int32 goes", () => {
  const replaced = { ...image, name: "\ufffd" };
  for (const escape of ["\\ufffd", "\\ud800", "\\udfff", "\\U0000d800", "\\UFFFFFFFF", "\\U80000000"]) assert.equal(parseFilters([`name=="${escape}"`])(replaced), true, escape);
  for (const escape of ["\\U00110000", "\\U7FFFFFFF"]) {
    assert.throws(() => parseFilters([`name=="${escape}"`]), { code: "INVALID", message: /illegal numeric escape sequence$/ }, escape);
  }
});

test("an operator is missed where containerd misses it", () => {
  assert.throws(() => parseFilters(["labels.my-x==1"]), { message: /^filter: \[labels\.my >\|-\|< x==1\]: expected an operator/ });
});

const PATTERNS: readonly [pattern: string, matching: readonly string[], others: readonly string[]][] = [
  ["", ["", "a"], []],
  ["abc", ["abc", "xabcx"], ["ab", "ABC"]],
  ["^a.c$", ["abc", "a☃c"], ["abcd", "a\nc"]],
  ["a|bc|", ["", "zzz"], []],
  ["^(a|bc)+$", ["a", "bc", "abca"], ["", "b", "ab"]],
  ["^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]],
  ["^a{2}b{0,1}c{1,}$", ["aac", "aabcc"], ["aab", "ac"]],
  ["^a{,2}$", ["a{,2}"], ["a"]],
  ["^[a-cx]+?$", ["abcx"], ["d", ""]],
  ["^[^a-c]$", ["d", "\n", "☃"], ["a", "dd"]],
  ["^[]a]$", ["]", "a"], ["b"]],
  ["^[[:alpha:]_]+[[:^digit:]]$", ["ab_", "a-"], ["a1"]],
  ["^\\d+\\.\\w\\s\\D\\W\\S$", ["12._ x-y"], ["1.a"]],
  ["^\\pL\\p{Greek}\\PN\\p{^Lu}$", ["aαbc"], ["aαbC", "1αbc"]],
  ["(?i)^straße$", ["straße", "STRAẞE"], ["strasse"]],
  ["(?i)^k[s-t]$", ["K\u017f", "\u212aT"], ["ka"]],
  ["(?i)^[i\u0130]$", ["i", "I", "\u0130"], ["\u0131"]],
  ["(?i)^\u0131$", ["\u0131"], ["i", "I", "\u0130"]],
  ["(?i)\\W", ["-"], ["k", "\u212a"]],
  ["^(?i:a)b$", ["ab", "Ab"], ["AB"]],
  ["(?s)^a.b$", ["a\nb"], ["ab"]],
  ["(?m)^b$", ["a\nb\nc", "b"], ["ab"]],
  ["\\bfoo\\b", ["a foo!", "foo"], ["afoo", "foo_"]],
  ["\\Bfoo", ["afoo"], ["foo"]],
  ["^\\Qa.b*\\E+$", ["a.b*", "a.b**"], ["axb"]],
  ["^(?P<name>x)(?:y)(?<other>z)$", ["xyz"], ["xy"]],
  ["^\\x41\\x{1F600}\\101\\n$", ["A\u{1f600}A\n"], ["A"]],
  ["\\Aab\\z", ["ab"], ["ab\n"]],
  ["^(|a)+b$", ["b", "aab"], ["a"]],
  ["^x{01}$", ["x{01}"], ["x"]],
  ["^x{1,01}$", ["x{1,01}"], ["x"]],
  ["^x{1,2$", ["x{1,2"], ["x", "xx"]],
  ["^\\x{0000041}$", ["A"], ["a"]],
  [`^(?P<${"n".repeat(200)}>b)$`, ["b"], ["n"]],
  [`^(?${"i".repeat(120)}:A)$`, ["a", "A"], ["b"]],
  ["^(a*)*$", ["", "aaa"], ["b"]],
];

test("a pattern means what it means to Go", () => {
  for (const [pattern, matching, others] of PATTERNS) {
    const matches = compileGoRegexp(pattern);
    assert.ok(matches !== undefined, pattern);
    for (const text of matching) assert.equal(matches(text), true, `${pattern} on ${JSON.stringify(text)}`);
    for (const text of others) assert.equal(matches(text), false, `${pattern} on ${JSON.stringify(text)}`);
  }
});

test("what Go refuses is refused", () => {
  for (const pattern of ["(", ")", "[", "[z-a]", "*", "a**", "a+*", "(?=a)", "(?<!a)", "\\1", "\\q", "\\p{Nonsense}", "a{1001}", "a{3,2}", "(?z)", "\\", "[[:nope:]]", "x{2}{3}", "\\x{110000}", "\\x{}", "\\x4", "\\xg0", `x{${"1".repeat(120)}}`, `x{1,${"9".repeat(120)}}`, "(?P<>a)", "(?P<a", "(?Pa)", "(?i-)", "(?i-:a)"]) {
    assert.equal(compileGoRegexp(pattern), undefined, pattern);
  }
});

/** Processor time, not the clock's: on a busy machine that goes on while others have the processor. */
function assertCheap(start: NodeJS.CpuUsage): void {
  const ms = process.cpuUsage(start).user / 1000;
  assert.ok(ms < 2000, `took ${ms} ms of processor time`);
}

test("a pattern that makes a backtracking engine run for ever is done at once", () => {
  const text = `${"a".repeat(2000)}!`;
  const start = process.cpuUsage();
  for (const pattern of ["^(a+)+$", "^(a|a)*$", "^(a*)*b", "(.*)*(.*)*(.*)*x"]) assert.equal(compileGoRegexp(pattern)?.(text), false, pattern);
  assertCheap(start);
  assert.throws(() => compileGoRegexp("((a{100}){100}){100}"), { code: "INVALID", message: /too large/ });
});

test("classes without regard to case, a thousand of them, and groups in a long pattern cost little", () => {
  const start = process.cpuUsage();
  assert.equal(compileGoRegexp(`(?i)${"\\pL".repeat(1000)}`)?.("ab"), false);
  assert.equal(compileGoRegexp("(?:a)".repeat(1900))?.("ab"), false);
  const tooLarge = { code: "INVALID", message: /^filter: the pattern .{1,200} is too large/ };
  for (const piece of ["(?:a", "a{", "\\x41", "(?i)\\pL"]) assert.throws(() => compileGoRegexp(piece.repeat(3_000_000 / piece.length)), tooLarge);
  assert.throws(() => compileGoRegexp("(?:".repeat(150) + "a" + ")".repeat(150)), tooLarge);
  assert.throws(() => parseFilters(["name~=/^[a-z]{1,1000}(:[a-z]{1,1000})?(@.{0,128})?$/"]), tooLarge);
  assertCheap(start);
});

test(`patterns that both languages know mean the same as JavaScript's (SEED=${seed})`, () => {
  const piece = fc.constantFrom("a", "b", "c", ".", "[ab]", "[^a]", "(a|b)", "(?:ab|c)", "a*", "b+", "c?", "(ab)*", "[a-c]{1,2}", "\\w", "\\.", "^", "$", "\\b");
  const text = fc.array(fc.constantFrom("a", "b", "c", ".", " "), { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.array(piece, { maxLength: 6 }), text, (pieces, subject) => {
    const pattern = pieces.join("");
    assert.equal(compileGoRegexp(pattern)?.(subject), new RegExp(pattern, "s").test(subject) || new RegExp(pattern).test(subject), pattern);
  }), { seed, numRuns: 2000 });
});
