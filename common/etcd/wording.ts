/** What TLS says when the two sides do not agree, and what that means here. */
const meanings: readonly (readonly [said: RegExp, meaning: string])[] = [
  [/unable to verify|self.signed certificate|unable to get (?:local )?issuer/, 'it is of no authority in tls.ca'],
  [/^certificate has expired/, "the member's certificate"],
  [/^unknown ca/, 'the member does not trust the authority of our certificate, tls.cert'],
  [/^certificate required/, 'the member wants a certificate of ours: set tls.cert and tls.key'],
  [/^certificate expired/, 'the member says so of our certificate, tls.cert'],
  // One word for all of it up to etcd 3.4.
  [/^bad certificate/, 'the member refuses ours, tls.cert: missing, expired, or of an authority it does not trust'],
  [/disconnected before secure TLS/, 'if the member does not talk TLS, its address begins with http://'],
  [/^Failed to connect/, 'if the member talks TLS, its address begins with https://'],
];

/**
 * Why gRPC could not connect, as people want to read it: without OpenSSL's own line numbers, and with what it means.
 * What is not about TLS is returned as it is.
 */
export function connectionWords(report: string): string {
  const alert = /:SSL routines:[^:]*:(?:(?:sslv|tlsv)[\d.]+ alert )?([^:]*):/.exec(report)?.[1];
  const said = alert ?? report.replace(/^Error: /, '');
  const meaning = meanings.find(([pattern]) => pattern.test(said))?.[1];
  return meaning === undefined ? said : `${said} (${meaning})`;
}
