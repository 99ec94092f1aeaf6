/** One instruction of a statement's program, as EXPLAIN shows it; its address is its place in the program. */
export interface Instruction {
  readonly opcode: string;
  readonly p1: number;
  readonly p2: number;
  /** Looked at where `USING_P3` has the opcode. */
  readonly p3: number;
  /** Looked at where `USING_P5` has the opcode. */
  readonly p5: number;
}

/** Those that go on with the next one, whatever they do. */
const PLAIN = wordsOf(`
  Add AddImm Affinity AggFinal AggInverse AggStep AggStep1 AggValue And Abortable BeginSubrtn BitAnd BitNot BitOr Blob
  Cast Close ClrSubtype CollSeq Column ColumnsUsed Compare Concat Copy Count CursorHint CursorLock CursorUnlock
  DeferredSeek Delete Divide Explain FilterAdd FinishSeek Function GetSubtype IdxInsert IdxRowid Insert Int64 IntCopy
  Integer IsTrue MakeRecord Move Multiply NewRowid Noop Not Null NullRow Offset OffsetLimit OpenAutoindex OpenDup
  OpenEphemeral OpenPseudo OpenRead Or Permutation PureFunc ReadCookie Real RealAffinity ReleaseReg Remainder
  ReopenIdx ResetSorter ResultRow RowData Rowid RowSetAdd SCopy SeekHit Sequence SetSubtype ShiftLeft ShiftRight SoftNull
  SorterData SorterInsert SorterOpen String String8 Subtract Trace Transaction Variable VColumn VInitIn VOpen
  ZeroOrNull
`);

/** Those that may go on at P2. */
const TO_P2 = wordsOf(`
  DecrJumpZero ElseEq Eq Filter Found Ge Gosub Goto Gt IdxGE IdxGT IdxLE IdxLT If IfEmpty IfNoHope IfNot IfNotOpen IfNotZero
  IfNullRow IfPos IfSizeBetween IfSmaller IsNull IsType Le Lt Ne Next NoConflict NotExists NotFound NotNull Once Prev
  RowSetRead RowSetTest SeekGE SeekGT SeekLE SeekLT SeekRowid SeekScan SequenceTest Sort SorterCompare SorterNext
  SorterSort VFilter VNext
`);

/** The same where P2 is not 0. */
const TO_P2_IF_ANY = wordsOf("Init InitCoroutine Last MustBeInt Rewind Yield");

/** Those that go on elsewhere, or nowhere. */
const OTHERS = wordsOf("EndCoroutine Halt Jump Return");

/** Where the statement, or what reads its rows, may leave a loop for good. */
const LEAVING = wordsOf("EndCoroutine Halt InitCoroutine ResultRow Yield");

/** Those that read pages below the root of their cursor's tree: P1, and P3 of DeferredSeek. IfEmpty reads the root alone. */
const MOVING = wordsOf(`
  Count DeferredSeek Delete FinishSeek Found IdxInsert IfNoHope IfSizeBetween IfSmaller Insert Last NewRowid Next NoConflict
  NotExists NotFound Prev Rewind SeekGE SeekGT SeekLE SeekLT SeekRowid SeekScan Sort
`);

/** Those that open a cursor, P1, on something that is no tree of the file. */
const OPENING_OTHERS = wordsOf("OpenAutoindex OpenDup OpenEphemeral OpenPseudo SorterOpen VOpen");

/** What a loop through a whole tree begins and ends with. */
const LOOPS: ReadonlyMap<string, string> = new Map([
  ["Rewind", "Next"],
  ["Last", "Prev"],
]);

/** The only ones whose P3 or P5 is looked at. */
export const USING_P3 = wordsOf("Count DeferredSeek InitCoroutine Jump OpenRead ReopenIdx");
export const USING_P5 = wordsOf("OpenRead ReopenIdx");

/** Of P3 of OpenRead: the database itself, and not the one for what is temporary. */
const MAIN_DATABASE = 0;
/** Of P5 of OpenRead: P2 is no page but a register that holds its number. */
const P2_IS_REGISTER = 0x10;

/** Instructions that are looked at; the time that it takes is bounded by it. A longer program says nothing. */
export const INSTRUCTIONS_MAX = 2_000;

/** A loop from the first row of a cursor's tree to its last that nothing can leave early. */
interface WholeScan {
  readonly cursor: number;
  /** Addresses of its first and its last instruction. */
  readonly first: number;
  readonly last: number;
}

/**
 * The root pages of the trees of the file which a statement reads from their first page to their last if it reads
 * anything of them at all, as its program says.
 *
 * That is so for what is counted, and for the loops through a whole tree that nothing leaves early: none
 * with a row of the result in it, since whoever reads the rows may stop at any of them, none that is part of a
 * coroutine's, and none with a jump out of it. Where other cursors read the same tree, they must do so within such a loop.
 * Whether the loop is reached is no matter, as the tree is not read before. What a virtual table reads by
 * itself is not known. An instruction that is not known makes everything uncertain.
 *
 * @see https://www.sqlite.org/opcode.html
 */
export function findCertainScans(program: readonly Instruction[]): number[] {
  const cursors =
    program.length <= INSTRUCTIONS_MAX && program.every(isKnown) && cursorsOf(program);
  if (!cursors) return [];
  const whole = [...program.keys()].flatMap((at) => wholeScanAt(program, at) ?? []);
  const certain = new Set<number>();
  const uncertain = new Set<number>();
  for (const [at, { opcode, p1, p3 }] of program.entries()) {
    const moved = opcode === "DeferredSeek" ? p3 : p1;
    const rootPgnos = MOVING.has(opcode) ? (cursors.get(moved) ?? []) : [];
    for (const rootPgno of rootPgnos) {
      const isOfTree = ({ cursor }: WholeScan): boolean => cursors.get(cursor)?.[0] === rootPgno;
      const isWithin = whole.some((scan) => scan.first <= at && at <= scan.last && isOfTree(scan));
      (isWithin && rootPgnos.length === 1 ? certain : uncertain).add(rootPgno);
    }
  }
  return [...certain.difference(uncertain)];
}

/**
 * The trees of the file that each cursor is opened on, by their roots; 0 stands for what is none of them. Nothing
 * where a root cannot be told.
 */
function cursorsOf(program: readonly Instruction[]): Map<number, number[]> | undefined {
  const cursors = new Map<number, number[]>();
  for (const { opcode, p1, p2, p3, p5 } of program) {
    const isRead = opcode === "OpenRead" || opcode === "ReopenIdx";
    if (!isRead && !OPENING_OTHERS.has(opcode)) continue;
    if (isRead && (p5 & P2_IS_REGISTER) !== 0) return undefined;
    const rootPgno = isRead && p3 === MAIN_DATABASE ? p2 : 0;
    const rootPgnos = cursors.get(p1) ?? [];
    if (!rootPgnos.includes(rootPgno)) rootPgnos.push(rootPgno);
    cursors.set(p1, rootPgnos);
  }
  for (const [cursor, rootPgnos] of cursors)
    if (rootPgnos.every((pgno) => pgno === 0)) cursors.delete(cursor);
  return cursors;
}

/** The scan that begins with this instruction, if one does that reads all of its tree for certain. */
function wholeScanAt(program: readonly Instruction[], first: number): WholeScan | undefined {
  const { opcode, p1: cursor, p3 } = program[first];
  // An estimate is made of the way to one leaf.
  if (opcode === "Count") return p3 === 0 ? { cursor, first, last: first } : undefined;
  const step = LOOPS.get(opcode);
  if (step === undefined) return undefined;
  const last = program.findIndex((instruction, at) => at > first && isMoveOf(cursor, instruction));
  const isLoop = last > first && program[last].opcode === step;
  return isLoop && !canBeLeft(program, first, last) ? { cursor, first, last } : undefined;
}

function isMoveOf(cursor: number, { opcode, p1, p3 }: Instruction): boolean {
  return MOVING.has(opcode) && (opcode === "DeferredSeek" ? p3 : p1) === cursor;
}

/** Says whether a loop may end before its cursor does, or be entered at another place than its beginning. */
function canBeLeft(program: readonly Instruction[], first: number, last: number): boolean {
  const isInBody = (at: number): boolean => at > first && at <= last;
  const returns = new Set<number>();
  for (let at = first + 1; at <= last; at++) {
    const instruction = program[at];
    if (LEAVING.has(instruction.opcode) || !targetsOf(instruction).every(isInBody)) return true;
    if (instruction.opcode === "Return") returns.add(instruction.p1);
  }
  return program.some((instruction, at) => {
    if (isInBody(at)) return false;
    const { opcode, p1, p3 } = instruction;
    if (opcode === "Gosub" && returns.has(p1)) return true;
    if (opcode === "InitCoroutine" && isInBody(p3)) return true;
    return targetsOf(instruction).some(isInBody);
  });
}

/** Where an instruction may go on, but for the next one. */
function targetsOf({ opcode, p1, p2, p3 }: Instruction): number[] {
  if (opcode === "Jump") return [p1, p2, p3];
  return TO_P2.has(opcode) || (TO_P2_IF_ANY.has(opcode) && p2 !== 0) ? [p2] : [];
}

function isKnown({ opcode }: Instruction): boolean {
  return [PLAIN, TO_P2, TO_P2_IF_ANY, OTHERS].some((opcodes) => opcodes.has(opcode));
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
