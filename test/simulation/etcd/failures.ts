import { status } from '@grpc/grpc-js';

/** An error as etcd's gRPC server sends it. */
export class RpcFailure extends Error {
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** The errors of a real etcd, with its codes and its texts. */
export const failures = {
  noLeader: () => new RpcFailure(status.UNAVAILABLE, 'etcdserver: no leader'),
  timedOut: () => new RpcFailure(status.UNAVAILABLE, 'etcdserver: request timed out'),
  leaseNotFound: () => new RpcFailure(status.NOT_FOUND, 'etcdserver: requested lease not found'),
  leaseExists: () => new RpcFailure(status.FAILED_PRECONDITION, 'etcdserver: lease already exists'),
  compacted: () => new RpcFailure(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'),
  futureRevision: () => new RpcFailure(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'),
  noSpace: () => new RpcFailure(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'),
  denied: () => new RpcFailure(status.PERMISSION_DENIED, 'etcdserver: permission denied'),
  emptyUser: () => new RpcFailure(status.INVALID_ARGUMENT, 'etcdserver: user name is empty'),
  authOff: () => new RpcFailure(status.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'),
  badPassword: () =>
    new RpcFailure(status.INVALID_ARGUMENT, 'etcdserver: authentication failed, invalid user ID or password'),
  badToken: () => new RpcFailure(status.UNAUTHENTICATED, 'etcdserver: invalid auth token'),
} as const;
