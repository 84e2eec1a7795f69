/** One `server` line. */
export interface ConfiguredServer {
  readonly name: string;
  readonly address: string;
  readonly words: readonly string[];
}

/** The words of a `server` line give it the weight 0. */
export function hasNoWeight(words: readonly string[]): boolean {
  const at = words.indexOf('weight');
  return at >= 0 && words[at + 1] === '0';
}

export interface ConfiguredBackend {
  readonly name: string;
  readonly servers: readonly ConfiguredServer[];
  readonly lines: readonly string[];
}

/** What the simulated HAProxy reads of haproxy.cfg. */
export interface LoadedConfig {
  readonly environment: ReadonlyMap<string, string>;
  readonly backends: readonly ConfiguredBackend[];
  /** Port to backend. */
  readonly binds: ReadonlyMap<number, string>;
}

/** A line that HAProxy refuses. */
export interface Alert {
  readonly line: number;
  readonly text: string;
}

/** Words that the simulated HAProxy refuses wherever they stand, to be put into a configuration by a test. */
export const refusedWord = 'simulated-refusal';
/** A word that passes the check and fails when HAProxy loads the file. */
export const unloadableWord = 'simulated-load-failure';

/** Reads a file. @returns what it says, or what HAProxy would refuse in it */
export function loadConfig(text: string): { readonly config: LoadedConfig } | { readonly alerts: readonly Alert[] } {
  const environment = new Map<string, string>();
  const backends: { name: string; servers: ConfiguredServer[]; lines: string[] }[] = [];
  const binds = new Map<number, string>();
  const alerts: Alert[] = [];
  let section: { kind: string; name: string; ports: number[] } = { kind: '', name: '', ports: [] };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const words = line.split(/\s+/);
    const [first = '', second = ''] = words;
    if (words.includes(refusedWord)) alerts.push({ line: index + 1, text: `unknown keyword '${refusedWord}'` });
    if (/^\S/.test(raw) && ['global', 'defaults', 'frontend', 'backend', 'listen'].includes(first)) {
      section = { kind: first, name: second, ports: [] };
      if (first === 'backend' || first === 'listen') backends.push({ name: second, servers: [], lines: [] });
    } else if (first === 'setenv') environment.set(second, words[2] ?? '');
    else if (first === 'bind') section.ports.push(Number(second.split(':').at(-1)));
    else if (first === 'default_backend') for (const port of section.ports) binds.set(port, second);
    else if (first === 'server') {
      const backend = backends.at(-1);
      if (backend?.servers.some(({ name }) => name === second)) {
        alerts.push({ line: index + 1, text: `duplicate server ${second}` });
      }
      backend?.servers.push({ name: second, address: words[2] ?? '', words: words.slice(3) });
    } else if (section.kind === 'backend' || section.kind === 'listen') backends.at(-1)?.lines.push(line);
  }
  if (alerts.length > 0) return { alerts };
  return { config: { environment, backends, binds } };
}

/** What `haproxy -c` prints about alerts. */
export function formatAlerts(file: string, alerts: readonly Alert[]): string {
  const lines = alerts.map(({ line, text }) => `[ALERT]    (1) : config : parsing [${file}:${line}] : ${text}.`);
  return `${[...lines, '[ALERT]    (1) : config : Fatal errors found in configuration.'].join('\n')}\n`;
}
