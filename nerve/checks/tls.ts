import type { DetailedPeerCertificate } from 'node:tls';
import { clock } from '../../common/async/clock.ts';
import { openSocket, startTls } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { counted } from '../../common/wording.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

/** The options of the check `tls`. */
export interface TlsCheckOptions extends TlsClientOptions {
  readonly min_days: number;
}

/** `tls` */
export const check: CheckPlugin<TlsCheckOptions> = {
  description: 'Passes when a TLS handshake succeeds and no certificate of the chain expires too soon.',
  schema: {
    ...tlsClientSchema,
    min_days: {
      doc: 'days for which the certificate and those of its issuers must stay valid; 0 for valid now',
      format: 'natural-number',
      default: 0,
    },
  },
  create(options, target) {
    checkTlsClient(options);
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: TlsCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const names = await tlsClient(options, target.host);
  const socket = await openSocket(target, signal);
  try {
    const secure = await startTls(socket, names, signal);
    assertValidFor(secure.getPeerCertificate(true), options.min_days);
  } finally {
    socket.destroy();
  }
}

const dayMs = 24 * 60 * 60 * 1000;

/** @throws when a certificate of the chain expires within `minDays` days */
function assertValidFor(leaf: DetailedPeerCertificate, minDays: number): void {
  const seen = new Set<string>();
  for (let at = leaf; at !== undefined && !seen.has(at.fingerprint256); at = at.issuerCertificate) {
    seen.add(at.fingerprint256);
    const days = Math.floor((Date.parse(at.valid_to) - clock.wallTime()) / dayMs);
    const which = at === leaf ? 'certificate' : `certificate of the issuer ${at.subject?.CN ?? at.subject?.O ?? ''}`;
    if (days < 0) throw new Error(`${which} expired on ${at.valid_to}`);
    if (days < minDays) throw new Error(`${which} expires in ${counted(days, 'day')}, min_days is ${minDays}`);
  }
}
