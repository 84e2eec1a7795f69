/** A word of a server line with the words that belong to it. */
export interface Option {
  readonly keyword: string;
  readonly values: readonly string[];
}

/**
 * Server keywords that are followed by a value (configuration manual 2.6, section 5.2; newer ones added). Every other
 * keyword stands alone.
 */
const withValue: ReadonlySet<string> = new Set(
  (
    'addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni ciphers ' +
    'ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall fastinter guid hash-key id ' +
    'init-addr init-state inter log-bufsize log-proto max-reuse maxconn maxqueue minconn namespace npn observe ' +
    'on-error on-marked-down on-marked-up pool-conn-name pool-low-conn pool-max-conn pool-purge-delay port proto ' +
    'proxy-v2-options redir resolve-net resolve-opts resolve-prefer resolvers rise set-proxy-v2-tlv-fmt sigalgs ' +
    'slowstart sni socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost weight ws'
  ).split(' '),
);

/** Takes the words of a server line apart into keywords with their values. */
export function parseOptions(text: string): readonly Option[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const options: Option[] = [];
  for (let index = 0; index < words.length; index++) {
    const keyword = words[index] as string;
    const value = withValue.has(keyword) ? words[index + 1] : undefined;
    if (value !== undefined) index += 1;
    options.push({ keyword, values: value === undefined ? [] : [value] });
  }
  return options;
}

/** The words again, separated by one space. */
export function formatOptions(options: readonly Option[]): string {
  return options.map(({ keyword, values }) => [keyword, ...values].join(' ')).join(' ');
}

/** The value of the last option of that name, as HAProxy takes it. */
export function lastValue(options: readonly Option[], keyword: string): string | undefined {
  return options.findLast((option) => option.keyword === keyword)?.values[0];
}
