/** Programs written by hand: what makes a scan certain, and each thing that makes it uncertain. */
import { describe, expect, it } from "vitest";
import { findCertainScans, type Instruction } from "../../worker/sqlite/certain-scans.ts";

/** One instruction a line: opcode, P1, P2, P3, P5. Those that are left out are 0. */
function program(text: string): Instruction[] {
  return text
    .trim()
    .split(/\s*[;\n]\s*/)
    .map((line) => {
      const [opcode = "", ...numbers] = line.split(/\s+/);
      const [p1 = 0, p2 = 0, p3 = 0, p5 = 0] = numbers.map(Number);
      return { opcode, p1, p2, p3, p5 };
    });
}

/** A loop through the tree of page 7, of 4 instructions with `body` as the third of them, that begins at 2. */
function loop(body: string, rest = "Halt"): Instruction[] {
  return program(
    `Init 0 0; OpenRead 0 7; Rewind 0 6; Column 0 1 1; ${body}; Next 0 3; AggFinal; ${rest}`,
  );
}

describe("findCertainScans", () => {
  it.each<[string, string]>([
    ["a tree that is counted", "Init 0 4; OpenRead 1 7; Count 1 1; Halt; Goto 0 1"],
    ["a loop over all of it", "OpenRead 0 7; Rewind 0 4; AggStep; Next 0 2; Halt"],
    ["the same backwards", "OpenRead 0 7; Last 0 4; AggStep; Prev 0 2; Halt"],
    ["a loop with a condition", "OpenRead 0 7; Rewind 0 5; Le 4 4 3; AggStep; Next 0 2; Halt"],
    [
      "a loop into a sorter, whatever becomes of its rows",
      "OpenRead 0 7; Rewind 0 4; SorterInsert 1; Next 0 2; SorterSort 1 8; ResultRow; DecrJumpZero 1 8; SorterNext 1 5; Halt",
    ],
    [
      "a loop that keeps only the best rows",
      "OpenRead 0 7; Rewind 0 9; IfNotZero 1 6; Last 1 0; IdxLE 1 8 2; Delete 1; MakeRecord; IdxInsert 1; Next 0 2; Halt",
    ],
    [
      "a loop that may not be reached",
      "OpenRead 0 7; IfNot 1 5; Rewind 0 5; AggStep; Next 0 3; Halt",
    ],
    [
      "one that is run once within another",
      "OpenRead 0 9; Rewind 0 8; Once 0 7; OpenRead 1 7; Rewind 1 7; IdxInsert 2; Next 1 5; Next 0 2; Halt",
    ],
    [
      "one whose body calls what lies within it",
      "OpenRead 0 7; Rewind 0 7; Gosub 5 4; Goto 0 6; AggStep; Return 5; Next 0 2; Halt",
    ],
    [
      "one within which the same tree is searched",
      "OpenRead 0 7; OpenRead 1 7; Rewind 0 6; SeekRowid 1 5; AggStep; Next 0 3; Halt",
    ],
  ])("finds %s", (_, text) => {
    expect(findCertainScans(program(text))).toContain(7);
  });

  it.each<[string, string]>([
    ["gives back a row", "ResultRow"],
    ["gives a row to another", "Yield 3"],
    ["may end the statement", "Halt"],
    ["jumps behind its end", "Gt 1 6"],
    ["counts down a LIMIT", "DecrJumpZero 1 6"],
    ["jumps before its beginning", "Ge 1 1"],
    ["jumps back to its beginning", "Ge 1 2"],
    ["jumps out by the third operand of a comparison", "Jump 4 5 6"],
    ["calls what lies elsewhere", "Gosub 3 7"],
    ["moves its own cursor", "SeekRowid 0 5"],
    ["steps twice", "Next 0 3"],
    ["begins again", "Rewind 0 3"],
    ["moves its cursor when another's rows are read", "DeferredSeek 1 0 0"],
    ["steps the other way", "Prev 0 3"],
    ["has an instruction that is not known", "Teleport 0 0"],
  ])("refuses a loop that %s", (_, body) => {
    expect(findCertainScans(loop("Add 1 1"))).toEqual([7]);
    expect(findCertainScans(loop(body))).toEqual([]);
  });

  it("refuses everything where any instruction is not known", () => {
    expect(findCertainScans(loop("Add", "Halt; Teleport"))).toEqual([]);
  });

  it.each<[string, string]>([
    ["from behind it", "Halt; Goto 0 4"],
    ["by a call", "Halt; Gosub 1 4"],
    ["by a coroutine", "Halt; InitCoroutine 1 0 4"],
  ])("refuses a loop that is entered %s", (_, rest) => {
    expect(findCertainScans(loop("Add", rest))).toEqual([]);
  });

  it("refuses a loop that may return to a call from elsewhere", () => {
    expect(findCertainScans(loop("Return 1", "Halt; Noop"))).toEqual([7]);
    expect(findCertainScans(loop("Return 1", "Halt; Gosub 1 8"))).toEqual([]);
  });

  it.each<[string, string]>([
    ["is searched before it is scanned", "OpenRead 1 7; SeekGE 1 99; Goto 0 7"],
    ["is looked up for the rows of an index", "OpenRead 1 7; DeferredSeek 2 0 1; Goto 0 7"],
    ["is only estimated elsewhere", "OpenRead 1 7; Count 1 1 1; Goto 0 7"],
    [
      "is scanned a second time, and not to its end",
      "OpenRead 1 7; Rewind 1 7; ResultRow; Next 1 9",
    ],
  ])("refuses a tree that %s", (_, rest) => {
    expect(findCertainScans(loop("Add", `Halt; ${rest}`))).toEqual([]);
  });

  it.each<[string, string]>([
    ["a temporary database", "OpenRead 0 7 1; Rewind 0 4; AggStep; Next 0 2; Halt"],
    ["a table of its own", "OpenEphemeral 0 7; Rewind 0 4; AggStep; Next 0 2; Halt"],
    ["an index of its own", "OpenAutoindex 0 7; Rewind 0 4; AggStep; Next 0 2; Halt"],
    ["a virtual table", "VOpen 0; VFilter 0 4; AggStep; VNext 0 2; Halt"],
    ["a page that a register names", "OpenRead 0 7 0 16; Rewind 0 4; AggStep; Next 0 2; Halt"],
    [
      "a cursor that is opened on two trees",
      "OpenRead 0 7; OpenRead 0 8; Rewind 0 5; AggStep; Next 0 3; Halt",
    ],
    [
      "a cursor that is not always a tree's",
      "OpenRead 0 7; OpenDup 0 1; Rewind 0 5; AggStep; Next 0 3; Halt",
    ],
    ["a statement that writes", "OpenWrite 0 7; Rewind 0 4; AggStep; Next 0 2; Halt"],
    ["an estimate", "OpenRead 0 7; Count 0 1 1; Halt"],
    ["nothing", "Halt"],
  ])("finds none in %s", (_, text) => {
    expect(findCertainScans(program(text))).toEqual([]);
  });

  it("looks at no program that is too long", () => {
    const short = program("OpenRead 0 7; Count 0 1");
    const noops = (count: number) => program(Array(count).fill("Noop").join(";"));
    expect(findCertainScans([...short, ...noops(1_900)])).toEqual([7]);
    expect(findCertainScans([...short, ...noops(2_000)])).toEqual([]);
  });
});
