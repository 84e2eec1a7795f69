import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Channel,
  type ChannelCredentials,
  type Client,
  type MethodDefinition,
  makeClientConstructor,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import type * as protobufjs from 'protobufjs';
import protobuf from 'protobufjs/light.js';
import { builtFolder } from '../../place.ts';

/** etcd's gRPC services. */
export type ServiceName = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth';

/** The name that the published package has for etcd's protocol, which is parsed when the package is made. */
export const packedProtocol = 'etcd/rpc.json';

/** How messages look here: with numbers of 64 bits as strings, because lease IDs do not fit into a number. */
const shape = { longs: String, enums: String, defaults: true, oneofs: true } as const;

/**
 * etcd's protocol as JSON, from the files of etcd3. Parsing takes as long as all of Node's own start, so that the published
 * package has the result.
 */
export function parseProtocol(): protobufjs.INamespace {
  const require = createRequire(import.meta.url);
  // Loaded only here: the parser of these files is not in the published package.
  const { Root } = require('protobufjs') as typeof protobufjs;
  const file = join(dirname(require.resolve('etcd3')), '../proto/rpc.proto');
  return new Root().loadSync(file, { keepCase: true }).toJSON();
}

/** An untyped client of one service over an existing channel. */
export function serviceClient(name: ServiceName, channel: Channel, credentials: ChannelCredentials): Client {
  return new (constructorOf(name))(channel.getTarget(), credentials, { channelOverride: channel });
}

const constructors = new Map<ServiceName, ServiceClientConstructor>();

function constructorOf(name: ServiceName): ServiceClientConstructor {
  let known = constructors.get(name);
  if (known === undefined) {
    known = makeClientConstructor(methodsOf(name), name);
    constructors.set(name, known);
  }
  return known;
}

/** Not `@grpc/proto-loader`: it also makes a description of each message for gRPC's reflection, which takes 25 ms. */
function methodsOf(name: ServiceName): Record<string, MethodDefinition<object, object>> {
  const service = protocol().lookupService(`etcdserverpb.${name}`);
  const methods = service.methodsArray.map((method): [string, MethodDefinition<object, object>] => {
    // Its type says less than it returns, which is the method itself.
    method.resolve();
    const { resolvedRequestType, resolvedResponseType, requestStream, responseStream } = method;
    if (resolvedRequestType === null || resolvedResponseType === null) throw new Error(`${method.fullName}: no types`);
    const request = codec(resolvedRequestType);
    const response = codec(resolvedResponseType);
    const definition = {
      path: `/etcdserverpb.${name}/${method.name}`,
      // etcd3 calls methods by this name.
      originalName: `${method.name[0]?.toLowerCase()}${method.name.slice(1)}`,
      requestStream: requestStream === true,
      responseStream: responseStream === true,
      ...{ requestSerialize: request.serialize, requestDeserialize: request.deserialize },
      ...{ responseSerialize: response.serialize, responseDeserialize: response.deserialize },
    };
    return [method.name, definition];
  });
  return Object.fromEntries(methods);
}

/** Protobufjs compiles the functions for a message when the first of its kind is sent or received. */
function codec(type: protobufjs.Type) {
  return {
    serialize: (value: object): Buffer => type.encode(type.fromObject(value)).finish() as Buffer,
    deserialize: (bytes: Buffer): object => type.toObject(type.decode(bytes), shape),
  };
}

let root: protobufjs.Root | undefined;

function protocol(): protobufjs.Root {
  if (root !== undefined) return root;
  // Without it, protobufjs rounds lease IDs to 53 bits.
  if (protobuf.util.Long === null) throw new Error('the package long is missing: install smartstack again');
  const packed = fileURLToPath(new URL(packedProtocol, builtFolder));
  const json = existsSync(packed) ? JSON.parse(readFileSync(packed, 'utf8')) : parseProtocol();
  root = protobuf.Root.fromJSON(json);
  root.resolveAll();
  return root;
}
