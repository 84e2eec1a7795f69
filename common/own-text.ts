/**
 * The same text in memory of its own. V8 keeps a part of a text as a reference to the whole, so that one name that is
 * remembered would keep a reply of a megabyte, and joined text as a tree, which each use would walk.
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
