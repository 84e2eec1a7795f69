import { configLines } from '../spec/config-lines.ts';

/**
 * The line that an error of HAProxy without a line is about: `Proxy 'api': unable to find required use_backend: 'other'`. HAProxy
 * finds such errors after it has read the file. The line is the first of that proxy with a word that HAProxy quotes, else the one
 * that opens the proxy. Undefined when the error names no proxy of the file.
 */
export function lineNamedIn(message: string, text: string): number | undefined {
  const proxy = /\b(?:proxy|frontend|backend|listen)\s+'([^'\s]+)'/i.exec(message)?.[1];
  if (proxy === undefined) return undefined;
  const lines = configLines(text).filter(({ title }) => {
    const [kind = '', name] = title.split(/\s+/);
    return name === proxy && /^(?:frontend|backend|listen)$/.test(kind);
  });
  const quoted = [...message.matchAll(/'([^'\s]+)'/g)].map(([, word = '']) => word).filter((word) => word !== proxy);
  const named = lines
    .filter(({ number, section }) => number !== section)
    .map(({ number, text: line }) => ({ number, words: new Set(line.split(/[\s,()]+/)) }));
  // Of 'use-server' and the server that it names, the server tells more; it comes first in HAProxy's sentences.
  for (const word of quoted) {
    const found = named.find(({ words }) => words.has(word));
    if (found !== undefined) return found.number;
  }
  return lines[0]?.section;
}
