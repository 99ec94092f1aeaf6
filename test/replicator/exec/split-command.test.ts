import { describe, expect, it } from "vitest";
import { splitCommand } from "../../../replicator/exec/split-command.ts";

describe("splitCommand", () => {
  it.each([
    ["node server.js", ["node", "server.js"]],
    ["  a \t b\n", ["a", "b"]],
    ["a 'b c' \"d 'e'\"", ["a", "b c", "d 'e'"]],
    [String.raw`a\ b "c\"d" 'e\f'`, ["a b", 'c"d', String.raw`e\f`]],
    ['--name="x y"z', ["--name=x yz"]],
    ["a ''", ["a", ""]],
    ["echo $HOME | cat", ["echo", "$HOME", "|", "cat"]],
  ])("takes %j apart", (command, words) => {
    expect(splitCommand(command)).toEqual(words);
  });

  it.each([
    ["", "is empty"],
    ["  ", "is empty"],
    ["a 'b", "quote without an end"],
    ['a "b', "quote without an end"],
    ["'", "quote without an end"],
  ])("refuses %j", (command, message) => {
    expect(() => splitCommand(command)).toThrow(message);
  });
});
