// Admin API: services, their OpenAPI descriptions and what those bind them to. A service with a description that names
// the dictionary is registered only when its description compiles to a binding table; the table's hash stands in the
// registration, the table itself goes into the same content.

import { bindingHashOf } from '#core/configuration/dictionary-parts.ts';
import { SEGMENT_PATTERN, SERVICE_ID_PATTERN, serviceId, subsystemOfService } from '#schemas/identifiers.ts';
import type { JsonObject } from '#schemas/json.ts';
import { requireOrdinaryCode } from '#schemas/metaservices.ts';
import { AccordError } from '#schemas/problems.ts';
import { RegisteredService } from '#schemas/registrations.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';
import { judgeBinding, putBinding, requireFaultless } from './service-binding.ts';
import { readDescription, type ServiceDescription } from './service-description.ts';
import type { RegistryStore } from './store-sqlite.ts';

const closed = { additionalProperties: false };
const segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const ServicePath = Type.Object(
  { instance: segment, class: segment, member: segment, subsystem: segment, service: segment },
  closed,
);
const SERVICE_URL = '/services/:instance/:class/:member/:subsystem/:service';
const { descriptionHash: _, bindingHash: __, ...serviceFacts } = RegisteredService.properties;
const NewService = Type.Object(
  {
    ...serviceFacts,
    id: Type.String({ pattern: SERVICE_ID_PATTERN }),
    /** The OpenAPI document itself, or null. */
    description: Type.Union([Type.Object({}), Type.Null()]),
  },
  closed,
);

export function addServiceRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { store } = context;
  frame.read({
    method: 'GET',
    url: '/services',
    summary: 'Services, ascending by id',
    permission: 'read',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      const items = store.services(after, limit);
      return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
    },
  });
  frame.read({
    method: 'GET',
    url: SERVICE_URL,
    summary: 'One service',
    permission: 'read',
    params: ServicePath,
    read: (request) => requireService(store, idFrom(request)),
  });
  frame.read({
    method: 'GET',
    url: `${SERVICE_URL}/description`,
    summary: 'The OpenAPI document of a service',
    permission: 'read',
    params: ServicePath,
    read(request) {
      const { descriptionHash, id } = requireService(store, idFrom(request));
      const bytes = descriptionHash === null ? undefined : store.description(descriptionHash);
      if (!bytes) throw new AccordError('REGISTRATION_UNKNOWN', `description of ${id}`);
      return JSON.parse(bytes.toString());
    },
  });
  frame.read({
    method: 'GET',
    url: `${SERVICE_URL}/binding`,
    summary: 'The binding table of a service',
    permission: 'read',
    params: ServicePath,
    read(request) {
      const { id } = requireService(store, idFrom(request));
      const text = store.dictionary.binding(id);
      if (text === undefined) throw new AccordError('REGISTRATION_UNKNOWN', `binding of ${id}`);
      return JSON.parse(text);
    },
  });
  frame.change({
    method: 'DELETE',
    url: SERVICE_URL,
    summary: 'Remove a service',
    permission: 'register',
    params: ServicePath,
    change(request) {
      const { id } = requireService(store, idFrom(request));
      store.removeService(id);
      return { status: 200, body: { removed: id }, target: id };
    },
  });
  addPublishingRoutes(frame, context);
}

function addPublishingRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { store } = context;
  frame.judge({
    method: 'POST',
    url: '/services/judge',
    summary: 'What a description would bind, and every fault that keeps it from being registered',
    permission: 'read',
    body: NewService,
    async judge({ id, personalData, description: document }) {
      const description = document as JsonObject | null;
      if (description) await readDescription(description);
      const { faults, table } = judgeBinding(context, { id: serviceId(id), personalData, description });
      return { faults, table, bindingHash: table && bindingHashOf(table) };
    },
  });
  frame.change({
    method: 'POST',
    url: '/services',
    summary: 'Register a service, or replace its registration',
    permission: 'register',
    body: NewService,
    prepare: async ({ description }) => (description === null ? null : readDescription(description as JsonObject)),
    change({ body: { description: document, ...facts } }, prepared) {
      const id = serviceId(facts.id);
      requireOrdinaryCode(id);
      const subsystem = subsystemOfService(id);
      if (!store.hasSubsystem(subsystem)) throw new AccordError('REGISTRATION_UNKNOWN', subsystem);
      const description = prepared as ServiceDescription | null;
      const table = requireFaultless(
        judgeBinding(context, { id, personalData: facts.personalData, description: document as JsonObject | null }),
      );
      if (description) store.putDescription(description.hash, description.bytes);
      const hashes = { descriptionHash: description?.hash ?? null, bindingHash: table && bindingHashOf(table) };
      store.putService({ ...facts, ...hashes }, subsystem);
      putBinding(context, id, table);
      return { status: 201, body: store.service(id), target: id };
    },
  });
}

function requireService(store: RegistryStore, id: string): RegisteredService {
  const service = store.service(serviceId(id));
  if (!service) throw new AccordError('REGISTRATION_UNKNOWN', id);
  return service;
}
