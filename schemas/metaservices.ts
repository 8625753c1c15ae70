// The metaservices of X-Road's REST protocol (PR-MREST): three service codes that every provider's server answers itself, for
// each of its subsystems. What answers them is security-server/provider/metaservices.ts.
import type { ServiceId } from './identifiers.ts';
import { AccordError } from './problems.ts';

const METASERVICES = ['listMethods', 'allowedMethods', 'getOpenAPI'] as const;
export type Metaservice = (typeof METASERVICES)[number];

/** Null for every other service. */
export function metaserviceOf(service: ServiceId): Metaservice | null {
  const code = service.slice(service.lastIndexOf('/') + 1);
  return METASERVICES.find((one) => one === code) ?? null;
}

/** What is registered as a service is none of them. @throws SERVICE_CODE_RESERVED */
export function requireOrdinaryCode(service: ServiceId): void {
  const code = metaserviceOf(service);
  if (code !== null) throw new AccordError('SERVICE_CODE_RESERVED', code);
}
