import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An EC2 instance in the server's answers; tags by name. */
export interface FakeInstance {
  readonly id: string;
  readonly address?: string;
  readonly publicAddress?: string;
  readonly ipv6?: string;
  readonly dnsName?: string;
  readonly zone?: string;
  readonly state?: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The server's next answers: pages of instances, or a fault. */
export type Answer =
  | { readonly kind: 'pages'; readonly pages: readonly (readonly FakeInstance[])[] }
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  | { readonly kind: 'text'; readonly text: string }
  /** Every page names itself as the next one. */
  | { readonly kind: 'loop' }
  /** All headers and half of the body; then the connection is cut, or the answer ends without an error. */
  | { readonly kind: 'half'; readonly cut: boolean; readonly instances: readonly FakeInstance[] }
  | { readonly kind: 'hang' };

/** An EC2 API whose instances a test sets. */
export interface Ec2Server {
  readonly endpoint: string;
  /** The parameters of all calls so far. */
  readonly calls: readonly URLSearchParams[];
  /** The signatures of all calls so far. */
  readonly signatures: readonly string[];
  answer: Answer;
  close(): Promise<void>;
}

/** Starts a server with EC2's Query protocol, which takes a form and answers with XML. It ignores filters. */
export async function startEc2Server(): Promise<Ec2Server> {
  const calls: URLSearchParams[] = [];
  const signatures: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const call = new URLSearchParams(Buffer.concat(chunks).toString());
      calls.push(call);
      signatures.push(request.headers.authorization ?? '');
      if (
        call.get('Action') !== 'DescribeInstances' ||
        !request.headers.authorization?.startsWith('AWS4-HMAC-SHA256')
      ) {
        return fail(response, 400, 'InvalidAction');
      }
      reply(response, self.answer, call.get('NextToken'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const self: Ec2Server = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    signatures,
    answer: { kind: 'pages', pages: [[]] },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return self;
}

function reply(response: ServerResponse, answer: Answer, token: string | null): void {
  if (answer.kind === 'error') fail(response, answer.status, answer.code);
  if (answer.kind === 'text') response.writeHead(200, { 'content-type': 'text/xml' }).end(answer.text);
  if (answer.kind === 'loop') response.writeHead(200, { 'content-type': 'text/xml' }).end(pageXml([], 'page-1'));
  if (answer.kind === 'half') {
    const whole = pageXml(answer.instances, undefined);
    const half = whole.slice(0, whole.indexOf('</item>', whole.length / 2));
    response.writeHead(200, { 'content-type': 'text/xml', ...(answer.cut && { 'content-length': whole.length }) });
    if (answer.cut) response.write(half, () => response.destroy());
    else response.end(half);
  }
  if (answer.kind !== 'pages') return;
  const page = token === null ? 0 : Number(token.replace('page-', ''));
  const next = page + 1 < answer.pages.length ? `page-${page + 1}` : undefined;
  response.writeHead(200, { 'content-type': 'text/xml' }).end(pageXml(answer.pages[page] ?? [], next));
}

function fail(response: ServerResponse, status: number, code: string): void {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>${code}</Code><Message>${code} happened.</Message></Error></Errors><RequestID>r-1</RequestID></Response>`;
  response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
}

function pageXml(instances: readonly FakeInstance[], next: string | undefined): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>8f7724cf-496f-496e-8fe3-example</requestId>
<reservationSet>${instances.map(instanceXml).join('\n')}</reservationSet>
${next === undefined ? '' : `<nextToken>${next}</nextToken>`}
</DescribeInstancesResponse>`;
}

function instanceXml(instance: FakeInstance): string {
  const { id, address, publicAddress, ipv6, dnsName, zone = 'us-east-1a', state = 'running', tags } = instance;
  const tagXml = Object.entries(tags).map(([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`);
  return `<item><reservationId>r-${id}</reservationId><ownerId>1</ownerId><groupSet/><instancesSet><item>
<instanceId>${id}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>${state}</name></instanceState>
<privateDnsName>${dnsName ?? ''}</privateDnsName>${address === undefined ? '' : `<privateIpAddress>${address}</privateIpAddress>`}
${publicAddress === undefined ? '' : `<ipAddress>${publicAddress}</ipAddress>`}${ipv6 === undefined ? '' : `<ipv6Address>${ipv6}</ipv6Address>`}
<launchTime>2026-11-01T10:00:00.000Z</launchTime><placement><availabilityZone>${zone}</availabilityZone><tenancy>default</tenancy></placement>
<tagSet>${tagXml.join('')}</tagSet></item></instancesSet></item>`;
}
