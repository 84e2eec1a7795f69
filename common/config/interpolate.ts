import { joinPath, type Problem } from './problem.ts';

/** Where variables come from, and which options keep their text. */
export interface InterpolateOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Options in which only ERB is replaced. `haproxy.global` is one option (`*` stands for any one key, as in
   * `services.*.haproxy.listen`); a name without a dot is that key at any depth. Includes everything below the option.
   */
  readonly raw?: readonly string[];
  /** The keys from the top of the configuration to the value, for the patterns of `raw`. */
  readonly keys?: readonly string[];
}

/** `$${` stands for `${`; otherwise `${NAME}` or `${NAME:-default}`. */
const ours = /(?<escaped>\$\$\{)|\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?<fallback>[^}]*))?\}/;
/**
 * SmartStack ran its configuration through Ruby's ERB, and people used it to read the environment: `<%= ENV['NAME'] %>` and
 * `<%= ENV.fetch('NAME', 'default') %>`. Anything else between `<%` and `%>` is Ruby code, which is refused.
 */
const erb =
  /<%=\s*ENV(?:\[\s*(?<q>['"])(?<erbName>\w+)\k<q>\s*\]|\.fetch\(\s*(?<f>['"])(?<fetched>\w+)\k<f>\s*(?:,\s*(?<d>['"])(?<erbFallback>[^'"]*)\k<d>\s*)?\))\s*-?%>|(?<code><%[-=\s].*?%>)/s;
/** For options that are HAProxy's own text: HAProxy expands `$` itself. */
const inRaw = new RegExp(erb.source, 'gs');
const everywhere = new RegExp(`${ours.source}|${erb.source}`, 'gs');

/**
 * A deep copy in which environment variables are replaced in all string values, never in keys. As in the shell, the
 * default also replaces an empty variable. The value of a variable is not searched for further variables.
 */
export function interpolate(value: unknown, options: InterpolateOptions, problems: Problem[]): unknown {
  const patterns = (options.raw ?? []).map((pattern) => pattern.split('.'));

  const isRaw = (keys: readonly string[]): boolean =>
    patterns.some((pattern) =>
      pattern.length === 1
        ? keys.at(-1) === pattern[0]
        : pattern.length === keys.length && pattern.every((part, i) => part === '*' || part === keys[i]),
    );

  const replace = (text: string, pattern: RegExp, path: string): string =>
    text.replace(pattern, (whole: string, ...rest: unknown[]) => {
      const groups = rest.at(-1) as Readonly<Record<string, string | undefined>>;
      if (groups.escaped !== undefined) return whole.slice(1);
      if (groups.code !== undefined) {
        problems.push({ path, message: `Ruby code cannot be run; write \${NAME} or <%= ENV['NAME'] %>` });
        return '';
      }
      const name = groups.name ?? groups.erbName ?? groups.fetched ?? '';
      const fallback = groups.fallback ?? groups.erbFallback;
      const found = options.env[name];
      if (found !== undefined && (found !== '' || fallback === undefined)) return found;
      if (fallback !== undefined) return fallback;
      problems.push({
        path,
        message: `environment variable ${name} is not set; set it or give a default: \${${name}:-default}`,
      });
      return '';
    });

  const walk = (item: unknown, pattern: RegExp, keys: readonly string[], path: string): unknown => {
    if (typeof item === 'string') return replace(item, pattern, path);
    if (Array.isArray(item)) {
      return item.map((child, i) => walk(child, pattern, [...keys, String(i)], joinPath(path, i)));
    }
    if (item === null || typeof item !== 'object') return item;
    return Object.fromEntries(
      Object.entries(item).map(([key, child]) => {
        const below = [...keys, key];
        return [key, walk(child, isRaw(below) ? inRaw : pattern, below, joinPath(path, key))];
      }),
    );
  };
  return walk(value, everywhere, options.keys ?? [], '');
}
