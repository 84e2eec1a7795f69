/** What to say of a service that there is not: which ones there are, the keys of `services`. */
export function noService(name: string, services: object): string {
  return `no service ${name}; there are ${Object.keys(services).sort().join(', ') || 'none'}`;
}
