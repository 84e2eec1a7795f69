import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A machine as the server tells of it; tags by name. */
export interface FakeMachine {
  readonly id: string;
  readonly address?: string;
  readonly publicAddress?: string;
  readonly ipv6?: string;
  readonly dnsName?: string;
  readonly zone?: string;
  readonly state?: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** What the next answers are: pages of machines, or something worse. */
export type Answer =
  | { readonly kind: 'pages'; readonly pages: readonly (readonly FakeMachine[])[] }
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  | { readonly kind: 'text'; readonly text: string }
  /** All of the headers, half of the body: the connection is cut, or ends as if that were all. */
  | { readonly kind: 'half'; readonly cut: boolean; readonly machines: readonly FakeMachine[] }
  | { readonly kind: 'hang' };

export interface Ec2Server {
  readonly endpoint: string;
  /** The parameters of all calls so far. */
  readonly calls: readonly URLSearchParams[];
  /** How they were signed. */
  readonly signatures: readonly string[];
  answer: Answer;
  close(): Promise<void>;
}

/** Speaks EC2's Query protocol: a form in, XML out. It applies no filters: what it holds is what it tells. */
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
  if (answer.kind === 'half') {
    const whole = pageXml(answer.machines, undefined);
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

function pageXml(machines: readonly FakeMachine[], next: string | undefined): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>8f7724cf-496f-496e-8fe3-example</requestId>
<reservationSet>${machines.map(machineXml).join('\n')}</reservationSet>
${next === undefined ? '' : `<nextToken>${next}</nextToken>`}
</DescribeInstancesResponse>`;
}

function machineXml(machine: FakeMachine): string {
  const { id, address, publicAddress, ipv6, dnsName, zone = 'us-east-1a', state = 'running', tags } = machine;
  const tagXml = Object.entries(tags).map(([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`);
  return `<item><reservationId>r-${id}</reservationId><ownerId>1</ownerId><groupSet/><instancesSet><item>
<instanceId>${id}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>${state}</name></instanceState>
<privateDnsName>${dnsName ?? ''}</privateDnsName>${address === undefined ? '' : `<privateIpAddress>${address}</privateIpAddress>`}
${publicAddress === undefined ? '' : `<ipAddress>${publicAddress}</ipAddress>`}${ipv6 === undefined ? '' : `<ipv6Address>${ipv6}</ipv6Address>`}
<launchTime>2026-11-01T10:00:00.000Z</launchTime><placement><availabilityZone>${zone}</availabilityZone><tenancy>default</tenancy></placement>
<tagSet>${tagXml.join('')}</tagSet></item></instancesSet></item>`;
}
