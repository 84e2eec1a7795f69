import { isIP } from 'node:net';
import { request } from 'undici';
import { reasonOf } from '../../common/daemon/log.ts';
import { httpAgent } from '../../common/net/http-agent.ts';
import type { Family } from './local-address.ts';

/** The address that AWS documents; the AWS SDKs read the same environment variable. */
const defaultEndpoint = 'http://169.254.169.254';

/** Long enough for the one request that follows. */
const tokenTtlSeconds = 60;

const paths: Readonly<Record<Family, string>> = { ipv4: 'local-ipv4', ipv6: 'ipv6' };

/**
 * The private address of this EC2 instance, from the instance metadata service, version 2 (a token first; see "Use the
 * Instance Metadata Service to access instance metadata" in the EC2 user guide).
 * @throws saying which request failed and how
 */
export async function instanceAddress(family: Family, signal: AbortSignal): Promise<string> {
  const endpoint = (process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT || defaultEndpoint).replace(/\/+$/, '');
  const ask = async (method: 'GET' | 'PUT', path: string, headers: Record<string, string>): Promise<string> => {
    try {
      const { statusCode, body } = await request(`${endpoint}${path}`, {
        ...{ method, headers, signal },
        reset: true,
        dispatcher: httpAgent,
      });
      const text = await body.text();
      if (statusCode === 200) return text.trim();
      throw new Error(`HTTP ${statusCode}`);
    } catch (error) {
      throw new Error(`EC2 instance metadata: ${method} ${path} failed: ${reasonOf(error)}`, { cause: error });
    }
  };
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': String(tokenTtlSeconds) };
  const token = await ask('PUT', '/latest/api/token', ttl);
  const address = await ask('GET', `/latest/meta-data/${paths[family]}`, { 'x-aws-ec2-metadata-token': token });
  if (isIP(address) !== 0) return address;
  throw new Error(`EC2 instance metadata: ${JSON.stringify(address.slice(0, 80))} is not an IP address`);
}
