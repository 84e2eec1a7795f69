/** The deepest nesting of JSON that is read from a registry; real records have two levels. */
export const maxJsonDepth = 32;

/**
 * Parses JSON from the network. Deep nesting is found before `JSON.parse` sees it, because 64 KiB of `[` keep that busy for
 * more than a tenth of a second.
 * @throws {RangeError} when it is nested too deeply
 * @throws {SyntaxError} when it is not JSON
 */
export function parseBoundedJson(text: string): unknown {
  checkDepth(text);
  return JSON.parse(text);
}

function checkDepth(text: string): void {
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22: // "
        index = endOfString(text, index);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > maxJsonDepth) throw new RangeError(`nested more than ${maxJsonDepth} levels deep`);
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
    }
  }
}

/** The index of the closing quote; the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x5c) index += 1;
    else if (code === 0x22) return index;
  }
  return text.length;
}
