// The one table of errors. Every code that Accord shows, logs or signs stands here once: its HTTP status, its title,
// who may see it and what the reader does next (RFC 9457 problem documents are made from these rows).
//
// `audience` says who may see the code as it is:
//   public   - anyone who can reach the port, before they are known
//   caller   - an authenticated information system or administrator
//   peer     - another security server (refusals before a signature was verified are never more than this)
//   operator - only the server's own log; outside it shows as INTERNAL

import { type ProblemRow, row } from './problem-row.ts';
import { EVIDENCE_PROBLEMS } from './problems-evidence.ts';

export type { ProblemRow };

// biome-ignore format: one row, one line, so that the table stays a table
export const PROBLEMS = {
  // --- anything that is read from outside
  JSON_INVALID: row(400, 'The document is not valid JSON', 'public', 'Send one JSON document in UTF-8 without a byte order mark.'),
  JSON_DUPLICATE_NAME: row(400, 'A name occurs twice in one JSON object', 'public', 'Send each name once.'),
  JSON_FORBIDDEN_NAME: row(400, 'A name in the JSON document is not allowed', 'public', 'Remove the name; __proto__ is never accepted.'),
  JSON_TOO_DEEP: row(400, 'The JSON document is nested too deeply', 'public', 'Flatten the document.'),
  JSON_TOO_MANY: row(400, 'The JSON document has too many values', 'public', 'Split the document.'),
  SCHEMA_MISMATCH: row(400, 'The document does not have the expected shape', 'public', 'Compare the document with the schema named in the detail.'),
  BODY_TOO_LARGE: row(413, 'The body is larger than this server accepts', 'public', 'Send a smaller body, or ask the operator for the limit.'),
  ENCODING_NOT_CANONICAL: row(400, 'A value is not in its one canonical encoding', 'public', 'Encode again: base64url without padding or spare bits, no white space.'),
  IDENTIFIER_INVALID: row(400, 'An identifier is malformed', 'public', 'Write INSTANCE/CLASS/MEMBER[/SUBSYSTEM[/SERVICE]].'),
  // --- keys, signatures and tickets
  JWS_MALFORMED: row(400, 'A signature is not a compact JWS in canonical form', 'peer', 'Sign again; do not re-encode, pad, wrap or split what was signed.'),
  JWS_HEADER_REFUSED: row(400, 'A signature has a header that is not allowed', 'peer', 'Send exactly the protected header members that the protocol names.'),
  JWS_ALGORITHM_REFUSED: row(400, 'A signature uses an algorithm that is not allowed here', 'peer', 'Sign with ES256 or EdDSA, or ask the reader of the signature which algorithms it enabled.'),
  JWS_SIGNATURE_WRONG: row(400, 'A signature does not verify', 'peer', 'Check that the text arrived unchanged and was signed with the registered key.', 'InvalidSignatureValue'),
  JWE_MALFORMED: row(400, 'A ticket is not a compact JWE in canonical form', 'peer', 'Make a new ticket.'),
  JWE_HEADER_REFUSED: row(400, 'A ticket has a header that was not expected', 'peer', 'Make a ticket for this receiver, from this sender, with the key it publishes now.'),
  JWE_DECRYPT_FAILED: row(400, 'A ticket cannot be opened', 'peer', 'Fetch the newest configuration and make a ticket for the encryption key in it.'),
  SUBJECT_SEAL_REFUSED: row(400, 'A sealed subject cannot be opened here', 'peer', 'Ask for the consent again: it is sealed to the subject keys that the provider registers now.'),
  STATUS_LIST_REFUSED: row(502, 'A status list is not what it should be', 'peer', 'Compare the list with the keys and the address of the consent service in the global configuration; the list held before stays.'),
  KEY_MALFORMED: row(400, 'A key cannot be read', 'caller', 'Export the key again as JWK, SubjectPublicKeyInfo (DER) or PEM.'),
  KEY_UNSUITABLE: row(400, 'A key does not fit what it would be used for', 'caller', 'Use a P-256 or Ed25519 key to sign, and a P-256 or X25519 key to receive tickets.'),
  KEY_FILE_MALFORMED: row(500, 'A key file is damaged or of another kind', 'operator', 'Restore the key file from its copy.'),
  KEY_FILE_PASSPHRASE_WRONG: row(500, 'A key file does not open: the passphrase is wrong or the file was altered', 'operator', 'Check the passphrase file; if it is right, restore the key file from its copy.'),
  KEY_FILE_MODE: row(500, 'Others may read a key file or its folder', 'operator', 'Run chmod 0600 on the file and chmod 0700 on its folder, and consider the key exposed.'),
  KEY_FILE_EXISTS: row(409, 'A key of this name exists already', 'operator', 'Choose another name; keys are not replaced.'),
  KEY_FILE_NOT_FOUND: row(404, 'There is no key file of this name', 'operator', 'List the folder with accord key show.'),
  PASSPHRASE_REFUSED: row(400, 'A passphrase is missing or too weak', 'operator', 'Put at least 12 characters into a file of mode 0600 and name it with --passphrase-file.'),
  PKCS12_MALFORMED: row(400, 'A PKCS#12 file cannot be read', 'caller', 'Make it again: openssl pkcs12 -export -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg SHA256.'),
  PKCS12_PASSPHRASE_WRONG: row(400, 'A PKCS#12 file does not open with this passphrase', 'caller', 'Check the passphrase.'),
  INTERNAL: row(500, 'The server failed', 'public', 'Tell the operator the id in the detail; it stands in the log.', 'InternalError'),
  // --- certificates (certs/)
  DER_INVALID: row(400, 'Bytes are not strict DER', 'public', 'Encode again with the distinguished encoding rules.'),
  PEM_INVALID: row(400, 'The text is not certificates in PEM', 'public', 'Send CERTIFICATE blocks only, as `openssl x509` writes them.'),
  CERTIFICATE_MALFORMED: row(400, 'A certificate is malformed', 'public', 'Look at it with `openssl x509 -text`; docs/certificates.md names the profile.'),
  NOT_FOUND: row(404, 'There is nothing here', 'public', 'Check the path and the method.'),

  // --- the server frame (core/http/server-frame.ts)
  REQUEST_MALFORMED: row(400, 'The request is not well-formed HTTP', 'public', 'Send a request as RFC 9112 defines it.'),
  HEADER_DUPLICATE: row(400, 'A header that may stand once stands twice, or also with an underscore', 'public', 'Send the header named in the detail once.'),
  HEADERS_TOO_LARGE: row(431, 'The headers are larger than this server accepts', 'public', 'Send fewer headers.'),
  MEDIA_TYPE_UNSUPPORTED: row(415, 'The body has a media type that is not accepted here', 'public', 'Send application/json.'),

  // --- the certification authority (certs/csr.ts, certs/authority.ts, core/authority-store.ts)
  CSR_MALFORMED: row(400, 'The certificate request is not one strict PKCS#10 request', 'caller', 'Make a new request with `accord server init` or `openssl req`.'),
  CSR_REFUSED: row(422, 'The certificate request asks for something that is not certified', 'caller', 'Make a new request that asks only for what the detail allows.'),
  KEY_ALREADY_CERTIFIED: row(409, 'The key is already certified for another use or another holder', 'caller', 'Make a new key; one key serves one profile of one holder.'),
  KEY_COMPROMISED: row(409, 'A certificate of this key was revoked because the key was compromised', 'caller', 'Make a new key.'),
  SERIAL_UNKNOWN: row(404, 'This authority has issued no such certificate', 'caller', 'List the certificates with `accord ca list`.'),
  ALREADY_REVOKED: row(409, 'The certificate is revoked already', 'caller', 'Issue a new certificate for a new key where one is needed.'),
  RENEWAL_REFUSED: row(409, 'The certificate cannot be renewed like this', 'caller', 'Make a new key and a new request, then `accord ca issue`.'),
  VALIDITY_REFUSED: row(422, 'The validity is outside what the profile or the issuer allows', 'caller', 'Ask for fewer days, or renew the issuing authority first.'),
  PROFILE_VIOLATED: row(500, 'A certificate about to be signed does not match its profile; it was not signed', 'operator', 'Report this with the detail; it is a fault of the program.'),
  AUTHORITY_MISSING: row(404, 'There is no certification authority in this folder', 'operator', 'Check --dir, or make one with `accord ca init`.'),
  AUTHORITY_EXISTS: row(409, 'The folder is not empty; an authority is never overwritten', 'operator', 'Choose another folder.'),
  AUTHORITY_BUSY: row(409, 'Another process is working with this authority', 'operator', 'Wait for it; if it died, remove the file `lock` in the folder.'),
  AUTHORITY_DAMAGED: row(409, 'The records of the authority are not whole', 'operator', 'Restore the folder from its backup; issue nothing before.'),
  AUTHORITY_KEY_OFFLINE: row(409, 'The key file of the authority is not in its folder', 'operator', 'Put the key file back for this command, then take it away again.'),

  // --- mutual TLS (core/http/mtls.ts)
  PEER_UNKNOWN: row(403, 'The certificate of the connection is not registered here', 'public', 'Register the TLS certificate with the central registry, or present the registered one.', 'Server.ClientProxy.SslAuthenticationFailed'),
  CERTIFICATE_KEY_MISMATCH: row(400, 'The certificate does not belong to the private key', 'caller', 'Use the certificate that was issued for this key, or make a new request for one.'),

  // --- the bounded outgoing client (core/http/client.ts)
  PEER_UNREACHABLE: row(503, 'The other side could not be reached; nothing was sent to it', 'caller', 'Try again later; nothing happened.'),
  PEER_TIMEOUT: row(504, 'The other side did not answer in time; it may have received the request', 'caller', 'Ask for the outcome of the exchange before you send it again.', 'IOError'),
  PEER_BROKE_OFF: row(502, 'The connection to the other side broke; it may have received the request', 'caller', 'Ask for the outcome of the exchange before you send it again.', 'IOError'),
  RESPONSE_TOO_LARGE: row(502, 'The answer was larger than is accepted here', 'caller', 'Ask for less at a time, or ask the operator for the limit.'),

  // --- adapters: programs of the department, in front of its own database or backend
  ADAPTER_CONFIG_INVALID: row(500, 'The adapter file cannot be used', 'operator', 'Correct the line named in the detail, then run: accord adapter check FILE.'),
  ADAPTER_SCHEMA_MISMATCH: row(500, 'The adapter file does not fit the database', 'operator', 'Correct the line named in the detail, or the database, then run: accord adapter check FILE.'),
  PARAMETER_INVALID: row(400, 'A parameter does not have the form that the service describes', 'public', 'Compare the request with /openapi.json of the service.'),
  METHOD_NOT_ALLOWED: row(405, 'This method is not offered here', 'public', 'Use a method that the service describes.'),
  RECORD_NOT_FOUND: row(404, 'No record has this key', 'public', 'Check the key; the service itself is there.'),
  TOO_MANY_ROWS: row(422, 'More records match than one answer may hold; nothing was cut off silently', 'public', 'Ask more narrowly.'),
  DATABASE_UNAVAILABLE: row(503, "The department's own database cannot be reached", 'public', 'Try again later.'),
  DATABASE_TIMEOUT: row(504, "The department's own database did not answer in time", 'public', 'Ask more narrowly, or try again later.'),
  DATABASE_VALUE_MISMATCH: row(502, 'The department holds a value that its own description does not allow', 'public', 'Tell the department; the detail names the property.'),

  // --- statements, signatures and seals (peer message)
  STATEMENT_MALFORMED: row(400, 'A statement is not in its one form', 'peer', "Compare both servers' versions; a sender never makes such a statement."),
  CONTEXT_MALFORMED: row(400, 'The context of a message is not in its one form', 'peer', 'Check method, path, headers and body against the limits.'),
  BATCH_MALFORMED: row(400, 'A batch signature is not in its one form', 'peer', "Compare both servers' versions.", 'InvalidSignatureValue'),
  MESSAGE_MALFORMED: row(400, 'A peer message is malformed', 'peer', "Compare both servers' versions."),
  SEAL_BROKEN: row(400, 'A sealed part was changed on its way', 'peer', 'Send again; if it happens again, look for something between the servers that rewrites bytes.'),
  TICKET_REFUSED: row(400, 'A ticket cannot be opened here', 'peer', 'Fetch the newest configuration and make a new ticket.'),
  SIGNATURE_WRONG: row(400, 'A signature does not verify', 'peer', 'Check the signing key of the sender against its registered certificate.', 'InvalidSignatureValue'),
  CERTIFICATE_NOT_REGISTERED: row(403, 'The signing certificate is not registered to the sender', 'peer', 'Register the certificate, then wait for the new configuration.', 'InvalidCertPath.IncorrectValidationInfo'),
  PEER_KEY_MISSING: row(503, 'The peer has no usable encryption key', 'caller', 'The peer publishes a new encryption key; tell its operator.'),
  CERTIFICATE_INVALID: row(403, 'A certificate is expired, revoked or does not chain to a trusted authority', 'peer', 'Renew the certificate with `accord ca renew` and register it.', 'InvalidCertPath.IncorrectValidationInfo'),
  CERTIFICATE_STATUS_MISSING: row(503, 'Nothing shows that the signing certificate is not revoked', 'peer', 'Look at the check `certificate-status` on the health page of the signing server and at its OCSP responder, or give the registry a revocation list.'),
  COMMITMENT_WRONG: row(400, 'A part does not open its commitment', 'peer', 'Send again.', 'InvalidSignatureValue'),
  ADDRESSEE_WRONG: row(403, 'The message is for another server', 'peer', 'Fetch the newest configuration.'),
  SENDER_WRONG: row(403, 'The message was not sent by the server that made it', 'peer', 'Compare the TLS certificate with the registered one.'),
  CLIENT_NOT_ON_SERVER: row(403, 'The client subsystem is not registered on the sending server', 'peer', 'Register the subsystem on the server.'),
  SERVICE_NOT_ON_SERVER: row(403, 'The service does not belong to a subsystem of this server', 'peer', 'Fetch the newest configuration.'),
  CLOCK_OUT_OF_WINDOW: row(400, "The time of the message is too far from this server's clock", 'peer', 'Synchronise the clocks (5 minutes are allowed).'),
  CONFIGURATION_CONFLICT: row(409, 'The peer holds another configuration under the same version', 'peer', 'Tell the registry at once: a version was signed twice.'),
  MESSAGE_REPLAYED: row(409, 'This message id was used before', 'peer', 'Make a new request; ask `settlement` for what became of the first one.'),
  MESSAGE_VOID: row(409, 'The message id was settled as void', 'peer', 'Make a new request.'),
  ANSWER_MISMATCH: row(502, 'The answer belongs to another request', 'caller', "Tell the operator; the provider's server answered something else.", 'InconsistentResponse'),

  // --- decisions of the provider's server
  CLIENT_UNKNOWN: row(403, 'The client is not registered', 'caller', 'Register the subsystem, or correct `client`.', 'Server.ClientProxy.UnknownMember'),
  SERVICE_UNKNOWN: row(404, 'There is no such service at this provider', 'caller', 'List the services with `accord service list`.', 'Server.ServerProxy.UnknownService'),
  ACCESS_DENIED: row(403, 'No access right covers this request', 'caller', 'Ask the provider for `accord access grant`.', 'AccessDenied'),
  SERVICE_DISABLED: row(503, 'The provider has disabled the service', 'caller', "Read the provider's notice in the detail; try later.", 'ServiceDisabled'),
  BASIS_NOT_ALLOWED: row(403, 'The access right does not allow this legal basis', 'caller', 'Use a basis that the access right names.'),
  BINDING_REQUIRED: row(403, 'The service holds personal data and is not bound to the dictionary', 'peer', 'Ask the provider to publish the service with x-accord-element at every leaf: accord service publish.'),
  OPERATION_UNKNOWN: row(404, 'The service has no such operation', 'peer', 'Compare method and path with the service\'s OpenAPI document, or search the catalogue.'),
  FIELDS_REQUIRED: row(400, 'A bound service is asked without fields', 'peer', 'Name what you need in `fields`: paths of the answer, elements or predicates.'),
  FIELDS_UNKNOWN: row(400, 'A field is not known to the service', 'peer', 'Correct the fields named in the detail; accord catalogue shows what the service gives.'),
  FIELDS_TOO_MANY: row(400, 'The fields lead to more places than one lookup may name', 'peer', 'Ask for fewer fields, or in two lookups.'),
  FIELDS_NOT_PERMITTED: row(403, 'The access right does not cover every field', 'peer', 'Ask for less, say `partial` to get the rest, or ask the provider for an access right that names the elements.', 'FieldNotPermitted'),
  RECEIPT_MALFORMED: row(400, 'The receipt cannot be read', 'peer', 'Send the receipt as the consent service gave it, unchanged.'),
  SUBJECT_MISSING: row(400, 'The request does not say once whom it is about', 'peer', 'Put the identifier at the one place that the service declares.'),
  SUBJECT_MISMATCH: row(400, 'The subject and the path name different persons', 'caller', 'Send the subject or the path, or the same identifier in both.'),
  PREDICATE_BUDGET_SPENT: row(403, 'Too many different questions were asked about one value of this person', 'peer', 'Wait until 30 days have passed since the first of them, or ask for the value itself on a basis that allows it.'),
  ELEMENTS_NOT_OFFERED: row(404, 'No service of the authority gives all these elements for such a subject', 'caller', 'Ask for the elements in separate lookups, or search the catalogue.'),
  AS_OF_NOT_SUPPORTED: row(400, 'The service answers for the present only', 'caller', 'Leave `asOf` out.'),
  ANSWER_NOT_BOUND: row(502, 'The backend\'s answer is not one that the service declares', 'peer', 'Tell the provider: status or media type of its answer are not in the OpenAPI document it published.'),
  OVER_DELIVERED: row(502, 'The answer held more than was asked for', 'caller', 'Nothing of it was kept; the provider was told. Ask again when it has answered.'),
  DICTIONARY_RELEASE_FAULTY: row(503, 'The newest release of the dictionary does not pass its own tests', 'operator', 'The release before stays in force; tell the registry and compare with accord dictionary check.'),
  PURPOSE_NOT_ALLOWED: row(403, 'The access right does not allow this purpose', 'caller', 'Use a purpose that the access right names.'),
  ACCESS_RIGHT_REFUSED: row(409, 'The access right does not fit the service', 'caller', 'Name elements for a bound service and none for another; `open` is for services declared free of personal data; name groups that exist, and /r1 defaults that the right allows.'),
  CASE_NUMBER_REQUIRED: row(403, 'A request on the basis of law needs a case number of the agreed form', 'caller', 'Send `issue` in the form the access right shows.'),
  OFFICIAL_REQUIRED: row(403, 'A request on the basis of law names the official who asks', 'caller', 'Send `userId`.'),
  XROAD_TARGET_MALFORMED: row(400, 'The target is not one of X-Road\'s REST protocol', 'caller', 'Write /r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE, then the path.'),
  XROAD_CLIENT_MISSING: row(400, 'The header X-Road-Client is missing', 'caller', 'Send INSTANCE/CLASS/MEMBER/SUBSYSTEM in X-Road-Client.'),
  XROAD_HEADER_MALFORMED: row(400, 'A header of X-Road\'s REST protocol is malformed', 'caller', 'Correct the header that the detail names.'),
  XROAD_INSTANCE_UNKNOWN: row(404, 'This server belongs to another instance', 'caller', 'Leave xRoadInstance out, or name the instance of this server.'),
  METASERVICE_REQUEST_INVALID: row(400, 'The metaservice is asked without what it needs', 'caller', 'Name one service in `serviceCode`.', 'InvalidRequest'),
  SERVICE_CODE_RESERVED: row(409, 'No service can have this code', 'caller', 'Choose another code: listMethods, allowedMethods and getOpenAPI are answered by every server itself.'),
  XROAD_SERVER_INVALID: row(400, 'X-Road-Security-Server names no server that serves the provider', 'caller', 'Leave the header out, or name a registered server of the provider.', 'Server.ClientProxy.InvalidSecurityServer'),
  SPOOL_FULL: row(503, 'Too many large bodies are under way', 'caller', 'Try again in a minute; the operator can give the spool more room.'),
  SPOOL_FAILED: row(503, 'The disk of the spool does not work', 'caller', 'Tell the operator of this security server; nothing was lost.'),
  EVIDENCE_MALFORMED: row(400, 'A token of evidence cannot be read', 'peer', 'Send the token as the department\'s sign-on made it, unchanged.'),
  EVIDENCE_REQUIRED: row(403, 'The access right asks for a token of the official', 'peer', 'Send `evidence`: a token that the official\'s registered key signed for this very request.'),
  EVIDENCE_REFUSED: row(403, 'The evidence does not allow this request', 'peer', 'Make a new token for exactly this request with a registered key of the department\'s officials; it is good for ten minutes.'),
  EVIDENCE_USED: row(403, 'The token of evidence was used before', 'peer', 'Make a new token for each request.'),
  EMERGENCY_REQUIRED: row(403, 'The basis emergency needs the tokens of two officials', 'peer', 'Open an emergency with `accord emergency open`, let a second official of another unit confirm it, and send both tokens.'),
  EMERGENCY_ENDED: row(403, 'The emergency does not last any more, or has not begun', 'peer', 'Open a new one if there still is need, or ask on another basis.'),
  EMERGENCY_PERSONS_SPENT: row(403, 'The emergency was used for as many persons as it allows', 'peer', 'Open another emergency for more persons.'),
  REVIEW_OVERDUE: row(403, 'The department has not reviewed an emergency in time and gets nothing until it does', 'peer', 'Review it with `accord emergency review`; access returns with the next configuration.'),
  EMERGENCY_UNKNOWN: row(404, 'No such emergency was reported', 'caller', 'Hand in its two tokens first: `accord emergency review` does so when it is given the file with both.'),
  EMERGENCY_LASTS: row(409, 'The emergency is not over when it is reviewed', 'caller', 'Review it after the time in the detail.'),
  EMERGENCY_REPORT_WAITING: row(503, 'The registry has not taken the report of an emergency', 'operator', 'Check the way to the addresses in the configuration anchor; the server goes on trying by itself.'),
  EMERGENCY_NOTICE_WAITING: row(503, 'A consent service has not taken the notice of an emergency', 'operator', 'Ask its operator whether it runs; the server goes on trying.'),
  EMERGENCY_REVIEW_DUE: row(409, 'The own department owes the review of an emergency', 'operator', 'Have an official who is neither of the two review it with `accord emergency review`; overdue, the department gets nothing anywhere.'),
  SECRECY_NOT_ALLOWED: row(403, 'The access right does not allow to delay what the citizen is shown so long', 'peer', 'Leave `hiddenUntil` out, or name an earlier day.'),
  PURPOSE_UNKNOWN: row(403, 'No such purpose is registered, or it has not begun', 'peer', 'Name a purpose that `accord purpose list` shows; ask the registry to add the one you need.'),
  PURPOSE_ENDED: row(403, 'The purpose has ended', 'peer', 'Stop asking for it; when the task goes on, have the next version of the purpose registered and ask the citizen again.'),
  PURPOSE_CHANGED: row(403, 'The purpose was changed after this was allowed', 'peer', 'Let the provider grant access for the version in force, and ask the citizen to consent to its words.'),
  CONSENT_REQUIRED: row(403, 'The citizen has to consent first', 'peer', 'Ask for it with `accord consent request`, and send the receipt with the lookup.'),
  RECEIPT_REFUSED: row(403, 'The receipt does not allow this request', 'peer', 'Use the receipt that was given for this service and purpose; ask for a new consent when there is none.'),
  CONSENT_EXPIRED: row(403, 'The consent is not valid now', 'peer', 'Ask the citizen again.'),
  STATUS_STALE: row(503, 'Nobody can say at the moment whether the consent still stands', 'peer', 'Ask again in a minute; the provider cannot reach the consent service.'),
  CONSENT_SUSPENDED: row(403, 'The citizen has paused the consent', 'peer', 'Wait until it is resumed, or ask the citizen.'),
  CONSENT_WITHDRAWN: row(403, 'The consent was withdrawn', 'peer', 'Stop asking, and delete what is no longer needed; only the citizen can consent again.', 'ConsentRevoked'),
  CONSENT_USES_NOT_COUNTED: row(403, 'The consent has limited uses, and several servers of the provider would count them apart', 'peer', 'Ask the citizen for a consent without a number of uses and without a frequency, or ask the provider to serve this subsystem from one server.'),
  CONSENT_USES_SPENT: row(403, 'The consent was used as often as it allows', 'peer', 'Ask the citizen again.'),
  CONSENT_TOO_OFTEN: row(429, 'The consent was used as often as it allows within its days', 'peer', 'Ask again from the time in the detail on, or ask the citizen for a consent that allows it more often.'),
  FIELDS_NOT_CONSENTED: row(403, 'The citizen did not consent to every field', 'peer', 'Ask for less, say `partial` to get the rest, or ask the citizen again.'),
  CLOCK_DOUBTED: row(503, 'The provider\'s clock is in doubt', 'peer', 'Ask again later; its operator has to set the clock, or, where it was set since the start, start the server again.'),
  QUOTA_EXCEEDED: row(429, 'The quota of the access right is used up', 'caller', 'Wait for the next period, or ask the provider for more.'),

  // --- the consent service (consent-service/)
  CONSENT_OUT_OF_BOUNDS: row(422, 'The request for consent goes beyond what may be asked for', 'caller', 'Correct what the detail names: purpose, elements, services, time or retention.'),
  CONSENT_OPEN_ALREADY: row(409, 'An equal request is waiting for this citizen', 'caller', 'Wait for the answer to the first one; its id was returned when it was filed.'),
  CONSENT_COOL_DOWN: row(409, 'This citizen has refused twice and is not asked again for now', 'caller', 'Wait until the day in the detail, or use another way than consent.'),
  CONSENT_TOO_MANY: row(429, 'Too many requests for consent are waiting', 'caller', 'Wait until some are answered or have lapsed.'),
  NOTICE_REFUSED: row(403, 'A department may tell citizens only of what it answered itself', 'caller', 'Send notices in the name of the department whose service answered.'),
  NOTICE_LIMIT: row(429, 'Too many notices of this department within a day', 'caller', 'They are tried again by themselves.'),
  CONSENT_UNKNOWN: row(404, 'There is no such request or permission here', 'public', 'Check the link or the id, and that you are signed in as the person it was sent to.'),
  CONSENT_TRANSITION_REFUSED: row(409, 'This cannot follow what has become of the consent', 'public', 'Look at its present state first.'),
  CONSENT_PROVIDER_NOT_READY: row(503, 'A department that would answer has no key to seal the identifier to', 'public', 'Try again later; the department has to register a subject key.'),
  CONSENT_RECORDS_DAMAGED: row(500, 'The records of the consent service are not whole', 'operator', 'Stop; restore the database from its backup and compare it with the receipts that were issued.'),
  CONSENT_STORE_IN_USE: row(409, 'Another process writes these consent records', 'operator', 'End the other process; there is one writer.'),
  CONSENT_STORE_FAILED: row(503, 'The consent records cannot be written or read', 'public', 'Try again later; nothing was changed that was not acknowledged.'),

  // --- mandates: acting for another (consent-service/)
  MANDATE_OUT_OF_BOUNDS: row(422, 'The mandate goes beyond what may be agreed or filed', 'public', 'Correct what the detail names: kind, persons, purposes, level or times.'),
  MANDATE_OPEN_ALREADY: row(409, 'Such a mandate is offered or in force already', 'public', 'Use the one that is there, or end it first.'),
  MANDATE_COOL_DOWN: row(409, 'This person was offered a mandate twice and is left alone for now', 'public', 'Wait until the day in the detail.'),
  MANDATE_TOO_MANY: row(429, 'Too many mandates are offered or in force', 'public', 'End one that is not needed any more, or wait a day.'),
  MANDATE_UNKNOWN: row(404, 'There is no such mandate here', 'public', 'Check the id, and that you are signed in as one of its two persons; a register sees only what it filed.'),
  MANDATE_TRANSITION_REFUSED: row(409, 'This cannot follow what has become of the mandate', 'public', 'Look at its present state; what a register filed only that register ends.'),
  MANDATE_EXCEEDED: row(403, 'The mandate does not reach that far', 'public', 'Leave it to the person who is represented; the page says which items or permissions lie beyond.'),
  MANDATE_REGISTER_REFUSED: row(403, 'This subsystem is no register of mandates for this consent service', 'caller', 'Have the registry name it under mandateRegisters of the consent service.'),

  // --- reports of doubt (security-server/doubts.ts)
  QUESTION_REFUSED: row(403, 'The citizen\'s question was not accepted', 'peer', 'Let the citizen ask again: a question is taken once, for five minutes, with the ID token that was made for it.'),
  QUESTION_LIMIT: row(429, 'The citizen has asked too often', 'peer', 'Let the citizen ask again in an hour.'),
  DOUBT_WITHOUT_EXCHANGE: row(404, 'The value was not received in that exchange', 'caller', 'Name the id of the answered lookup that brought this element about this subject; if its record was erased, ask again and report on the new answer.'),
  DOUBT_UNKNOWN: row(404, 'There is no such report of doubt', 'caller', 'Check the id, and that the same client asks at the service that it reported to.'),
  DOUBT_CLOSED: row(409, 'The report of doubt was answered for good', 'caller', 'Leave it; whoever still doubts the value reports it again on a new answer.'),
  DOUBT_LIMIT: row(429, 'Too many reports of doubt of this client wait for an answer', 'caller', 'Wait until the provider has answered some of them, or telephone.'),

  // --- outcomes at the consumer's server
  CALLER_UNKNOWN: row(401, 'The calling system is not known', 'public', 'Call with a registered client certificate, or from an address that is listed for the subsystem.', 'Server.ClientProxy.SslAuthenticationFailed'),
  CALLER_UNPROVEN: row(403, 'The calling system did not prove itself as its subsystem requires', 'public', 'Connect as the detail says, or change what is required with `accord system mode`.', 'Server.ClientProxy.SslAuthenticationFailed'),
  BACKEND_CERTIFICATE_REFUSED: row(502, "The certificate of the provider's own backend is not accepted", 'caller', 'Tell the provider; its administrator checks the certificate, or names its authority with `accord service add --tls-ca`.', 'SslAuthenticationFailed'),
  MAINTENANCE_MODE: row(503, 'The security server is in maintenance', 'public', 'Try again when the maintenance is over; nothing was done.', 'MaintenanceMode'),
  CALLER_NOT_ALLOWED: row(403, 'This system may not speak for this client', 'caller', 'Register its certificate with `accord subsystem system-add`.', 'Server.ClientProxy.SslAuthenticationFailed'),
  CLIENT_NOT_HERE: row(403, 'The client subsystem is not registered on this server', 'caller', 'Use a subsystem of this server: `accord doctor` lists them.', 'Server.ClientProxy.UnknownMember'),
  PATH_REFUSED: row(400, 'The path or the query has no single reading', 'caller', 'Write it without dot segments, encoded slashes, double encoding or empty segments.'),
  PROVIDER_UNKNOWN: row(404, 'No security server speaks for the provider', 'caller', 'Check the service identifier.', 'Server.ClientProxy.UnknownMember'),
  PROVIDER_UNREACHABLE: row(502, "The provider's server was not reached; nothing was sent", 'caller', 'Try again; the request was not delivered.', 'NetworkError'),
  PROVIDER_BUSY: row(503, "The provider's server takes no more requests; nothing was done", 'caller', 'Try again after the time in Retry-After.'),
  PROVIDER_REFUSED_MESSAGE: row(502, "The provider's server did not accept the message", 'caller', 'The outcome is unknown until settled: `accord call --settle ID`.'),
  OUTCOME_UNKNOWN: row(504, 'It is not known whether the provider worked on the request', 'caller', 'Settle it with `accord call --settle ID` before you send it again.', 'IOError'),
  ANSWER_NOT_LOGGED: row(500, 'The answer could not be logged, so it was not given', 'peer', 'Settle the request once the provider has repaired its log.'),
  OUTCOME_VOID: row(409, 'The request never ran and never will', 'caller', 'Send a new request.'),
  NOTHING_TO_SETTLE: row(404, 'This server sent no request of that id', 'caller', 'Check the id.'),
  BACKEND_UNREACHABLE: row(502, "The provider's backend was not reached", 'caller', 'Tell the provider.', 'NetworkError'),
  BACKEND_TIMEOUT: row(504, "The provider's backend did not answer in time", 'caller', 'Tell the provider; the backend may have worked on the request.', 'IOError'),
  BACKEND_ANSWER_TOO_LARGE: row(502, "The provider's backend answered more than the exchange carries", 'caller', 'Ask for less, or ask the provider to page.'),
  BACKEND_ANSWER_MALFORMED: row(502, "The provider's backend answered something that cannot be delivered", 'caller', 'Tell the provider.'),

  // --- the state of a server
  // --- what `accord doctor` finds beside the codes of the parts it looks at (cli/doctor/)
  NODE_TOO_OLD: row(412, 'This Node is too old', 'operator', 'Run `accord` from a checkout after `npm install`, or install Node 24.12 or newer.'),
  CERTIFICATE_ENDS_SOON: row(409, 'A certificate or key ends soon', 'operator', 'Renew it with `accord ca renew`, then `accord server renew`; both need an approved configuration.'),
  CONFIGURATION_STALE: row(503, 'The newest news from the registry is more than ten minutes old', 'operator', 'Check the way to the registry and that its freshness signer runs; exchanges go on until it is too old.'),
  SERVER_NOT_RUNNING: row(503, 'The security server does not run, or not on this port', 'operator', 'Start it with `accord server start --dir DATADIR`.'),
  DISK_NEARLY_FULL: row(507, 'The disk of the data folder is nearly full', 'operator', 'Free space; a full disk stops all exchanges.'),
  SECRET_IN_ARGUMENTS: row(400, 'A secret stands in the arguments, where everyone on this machine can read it', 'operator', 'Change the secret; then hand the new one in by a file of mode 0600 or the environment.'),
  SETTINGS_INVALID: row(400, 'A setting is not usable', 'caller', 'Correct the setting named in the detail.'),
  FOLDER_IN_USE: row(409, 'The folder holds a server already', 'caller', 'Choose an empty folder; a server is never overwritten.'),
  CERTIFICATE_MISSING: row(409, 'A certificate of this server is missing', 'caller', 'Have the request in `requests/` certified with `accord ca issue`, and write the certificate to the file named in the detail.'),
  SERVER_NOT_REGISTERED: row(503, 'This security server is not in the global configuration', 'caller', 'Register it with `accord server register`, then have the configuration approved.'),
  API_KEY_REQUIRED: row(401, 'An API key is needed', 'public', 'Send `Authorization: Bearer KEY`.'),
  ROLE_NOT_ALLOWED: row(403, 'The role of this API key lacks the permission', 'caller', 'Use a key with the role named in the detail.'),
  SERVER_BUSY: row(503, 'The server takes no more requests at the moment', 'public', 'Try again after the time in Retry-After.'),
  SERVER_STOPPING: row(503, 'The server is stopping', 'public', 'Try again; another server or the restarted one will answer.'),
  PROCESS_ENDED: row(503, 'Another process of this server is not there', 'operator', 'It is started again by itself; the log of the server says why it ended.'),
  KEYS_NOT_RELOADABLE: row(409, 'The keys of this server were handed in when it started', 'caller', 'Restart the server.'),
  KEY_UNUSABLE: row(503, 'A key of this server cannot be used', 'operator', 'Run `accord doctor`.', 'CannotCreateSignature'),
  DEADLINE_PASSED: row(504, 'The time for the request is over', 'caller', 'Try again with a longer deadline.'),

  // --- the message log (core/log/)
  LOG_BUSY: row(503, 'The message log has too many records waiting', 'caller', 'Try again in a moment.'),
  LOG_UNAVAILABLE: row(503, 'The message log cannot be written; nothing was sent or answered', 'caller', 'Try again later; the operator sees the reason on the health page.', 'LoggingFailed'),
  LOG_DISK_FULL: row(503, 'The disk of the message log is full', 'operator', 'Free space; the server goes on by itself.'),
  LOG_IO_FAILED: row(503, 'The disk of the message log failed', 'operator', 'Check the disk, then restart the server and run `accord log verify`.'),
  LOG_CLOSED: row(503, 'The message log was closed', 'operator', 'Start the server again.'),
  LOG_HISTORY_MISSING: row(503, 'The log was opened anew or restored, and what came before is not in it', 'caller', 'Ask the operator of the other server: the closed log, or nobody, knows.'),
  LOG_IN_USE: row(409, 'Another process writes this message log', 'operator', 'Stop the other process; a log has one writer.'),
  LOG_MISSING: row(404, 'There is no message log here', 'operator', 'Check --dir; `accord server init` makes a new one.'),
  LOG_UNREADABLE: row(409, 'The message log cannot be opened here', 'operator', 'Run this as the user of the server, or copy the folder to a place you can write to and use the copy.'),
  LOG_ORIGIN_WRONG: row(409, 'The message log in this folder belongs to another origin', 'operator', 'Check the data folder and the origin in the settings.'),
  LOG_ROLLED_BACK: row(409, 'The message log is shorter than its last signed checkpoint', 'operator', 'Put the newest copy of the log back; `accord log verify` says what is missing.'),
  LOG_TAMPERED: row(409, 'The message log does not match its last signed checkpoint', 'operator', 'Keep the folder as evidence and run `accord log verify`, which names the entry.'),
  LOG_CHECKPOINT_MISSING: row(409, 'The last signed checkpoint of a log with entries is missing', 'operator', 'Put it back, or accept the one stored in the log: `accord log accept-checkpoint --dir DIR --yes`.'),
  LOG_CHECKPOINT_WRONG: row(409, 'A signed checkpoint of the message log is not valid', 'operator', 'Check the checkpoint key and the file; keep both as evidence.'),
  LOG_GAP: row(409, 'An entry of the message log is missing', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_TRUNCATED: row(409, 'The end of the message log is missing', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_ENTRY_MALFORMED: row(409, 'An entry of the message log is not in its one form', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_ENTRY_CHANGED: row(409, 'An entry of the message log was changed', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_EVIDENCE_CHANGED: row(409, 'The evidence of an entry of the message log was changed', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_TILE_WRONG: row(409, 'A stored subtree hash of the message log is wrong; the entries are right', 'operator', 'Keep the folder as evidence; compare with a backup.'),
  LOG_DATABASE_DAMAGED: row(409, 'The database of the message log is damaged', 'operator', 'Restore it from a backup and let the start compare it with the last checkpoint.'),
  RECORD_KEYS_WRONG: row(409, 'The store of record keys cannot be opened with this storage key', 'operator', 'Hand in the storage key it was made with.'),
  RECORD_KEYS_LOST: row(409, 'Keys of sealed records are missing, though nobody destroyed them', 'operator', 'Put the newest key store back; what was sealed since an older one cannot be opened any more.'),
  RECORD_UNREADABLE: row(500, 'A sealed record does not open with its key', 'operator', 'Run `accord log verify`; the record or its key was changed.'),
  NOTE_MALFORMED: row(400, 'A signed note is malformed', 'public', 'Compare it with c2sp.org/signed-note and c2sp.org/tlog-checkpoint.'),
  NOTE_SIGNATURE_WRONG: row(400, 'A signed note is not signed by the expected key', 'public', 'Check the verifier key.'),

  // --- files signed by several persons (certs/multi-signature.ts) and the global configuration (core/configuration)
  SIGNED_FILE_MALFORMED: row(422, 'A signed file is not in its one canonical form', 'caller', 'Fetch or sign it again.'),
  SIGNED_FILE_SIGNATURE_WRONG: row(422, 'A signature in a signed file is wrong or by a key that may not sign it', 'caller', 'Sign with a key that the root names for this kind of file.'),
  CONFIGURATION_ANCHOR_INVALID: row(400, 'The configuration anchor is not usable', 'caller', 'Get the anchor again from the registry, by hand, and compare its hash by telephone.'),
  CONFIGURATION_INVALID: row(422, 'A configuration document contradicts itself or the rules', 'caller', 'Compare the document with the rule named in the detail.'),
  CONFIGURATION_THRESHOLD: row(422, 'Too few distinct persons signed the configuration', 'caller', 'Let further approvers sign; one person counts once, whatever keys that person holds.'),
  CONFIGURATION_FORKED: row(422, 'Two different configurations carry the same version', 'caller', 'Stop and compare both files with the registry; one of them is an attack or a grave fault.'),
  CONFIGURATION_ROLLBACK: row(422, 'The configuration offered is older than one already verified', 'caller', 'Ask the registry or the mirror why it serves an old version; the newer one stays in use.'),
  CONFIGURATION_INSTANCE: row(422, 'The configuration belongs to another instance', 'caller', 'Check the configuration anchor and the address of the registry.'),
  CONFIGURATION_EXPIRED: row(422, 'The configuration has expired', 'caller', 'Let two approvers sign a new version; check the clock of this machine.'),
  CONFIGURATION_PART_WRONG: row(422, 'A part of the configuration is missing or has another hash than the approved one', 'caller', 'Fetch again; if it persists, publish again from the registry.'),
  CONFIGURATION_UNAVAILABLE: row(503, 'The registry has no such configuration file, or none that can be fetched', 'caller', 'Check the address in the configuration anchor and that a configuration was published.'),
  DISTRUST_REFUSED: row(422, 'A statement of distrust does not count', 'caller', 'The detail says why: an approver may put a few in force alone, an owner speaks for its own server and keys, an authority needs two approvers and a content.'),
  DRAFT_UNKNOWN: row(404, 'There is no such draft', 'caller', 'List the state with `accord config show`.'),
  DRAFT_SUPERSEDED: row(409, 'Another content was published after this draft was made', 'caller', 'Make a new draft with `accord config draft`.'),

  // --- binding a service to the dictionary (policy/binding)
  BIND_UNBOUND_LEAF: row(422, 'A value in an answer is bound to no element of the dictionary', 'caller', 'Give the leaf either x-accord-element: id@major, or x-accord-role: technical or structural; find elements with `accord dictionary search`.'),
  BIND_UNKNOWN_ELEMENT: row(422, 'An entry that a description names is not in the dictionary, or not in use', 'caller', 'Find its id and major with `accord dictionary search`; drafts and retired entries cannot be bound.'),
  BIND_TYPE_CONFLICT: row(422, "A value's schema does not fit the element it is bound to", 'caller', "Give the leaf the type, format and values of the element's domain, or name the mapping to it in x-accord-map."),
  BIND_NOT_AUTHORITY: row(422, 'The member is not the authority for an element it would publish', 'caller', 'Leave the element to its authority, or have the dictionary name this member for its jurisdiction and period.'),
  BIND_OPEN_SCHEMA: row(422, 'A schema leaves open what an answer may hold', 'caller', 'Close it: additionalProperties: false (unevaluatedProperties: false beside allOf), items for arrays, one type for values, a closed domain for technical values.'),
  BIND_LEVEL_RAISED: row(422, 'The service would release more sensitive elements than before', 'caller', 'Confirm it with info.x-accord-level, or leave out the elements named in the detail.'),
  BIND_AMBIGUOUS_BRANCH: row(422, 'One place of a service can be read in two ways', 'caller', 'Bind the place alike in every branch, name one subject, and let no two path templates cover one path.'),

  // --- the central registry's admin API (central-registry/)
  API_KEY_REFUSED: row(401, 'The API key is missing, unknown or revoked', 'public', 'Send `Authorization: Bearer <key>`; a registry-admin makes keys.'),
  ROLE_FORBIDDEN: row(403, 'The role of this API key lacks the permission', 'caller', 'Ask for a key with the role named.'),
  IDEMPOTENCY_CONFLICT: row(409, 'The Idempotency-Key was used for another request', 'caller', 'Use a new key for a new request.'),
  REGISTRATION_EXISTS: row(409, 'It is registered already', 'caller', 'Look at it, then change or remove it.'),
  REGISTRATION_UNKNOWN: row(404, 'It is not registered', 'caller', 'Check the identifier; register what it belongs to first.'),
  REGISTRATION_IN_USE: row(409, 'Something registered still needs it', 'caller', 'Remove what the detail names first.'),
  REGISTRATION_CERTIFICATE_REFUSED: row(422, 'The certificate is not fit for this registration', 'caller', 'Get a certificate for this server and purpose from an authority the registry trusts.'),
  REGISTRATION_KEY_REFUSED: row(422, 'The key cannot be registered here', 'caller', 'Make a new key pair; one key serves one use of one server.'),
  REGISTRATION_LIMIT: row(422, 'No more of these can be registered here', 'caller', 'Remove one that is not needed any more.'),
  CRL_REFUSED: row(422, 'The revocation list is not acceptable', 'caller', 'Send the newest list of an authority that the registry trusts, made with `accord ca crl` or as RFC 5280 section 5 defines it.'),
  DESCRIPTION_REFUSED: row(422, 'The OpenAPI description is not acceptable', 'caller', 'Send a valid OpenAPI 3 document whose every $ref starts with #/.'),
  DICTIONARY_REFUSED: row(422, 'The release of the dictionary is not acceptable', 'caller', 'Correct the entries named in the detail, run `accord dictionary check` and `accord dictionary diff`, and release again.'),
  PURPOSE_REFUSED: row(422, 'The purpose is not acceptable', 'caller', 'Correct what the detail names: elements of the released dictionary, the next version number, days that exist; then add it again.'),
  DICTIONARY_MISSING: row(409, 'No dictionary was released yet, so nothing can be bound to it', 'caller', 'Release one with `accord dictionary release`, then register the service.'),
  CONFIGURATION_MISSING: row(503, 'This server never verified a global configuration', 'caller', 'Check the configuration anchor and that the registry can be reached; see the health page.', 'OutdatedGlobalConf'),
  CONFIGURATION_TOO_OLD: row(503, 'The global configuration is too old for new exchanges', 'caller', 'Check the way to the registry, and that its freshness signer runs.', 'OutdatedGlobalConf'),
  CONFIGURATION_CACHE_CORRUPT: row(500, 'The stored configuration was damaged and is not used', 'caller', 'Nothing to do while the registry can be reached; check the disk.'),
  MAP_NO_PATH: row(422, 'No lossless mapping leads from the form held to the form asked for', 'caller', 'Ask for the element that the service is bound to, or propose a mapping for the dictionary.'),

  // --- sign-in of citizens (certs/id-token.ts, consent-service/sign-in/)
  ID_TOKEN_REFUSED: row(403, 'An ID token is not one that counts here', 'caller', 'Sign in again; if it happens again, compare the provider with the identity part of the configuration.'),
  SIGN_IN_REFUSED: row(403, 'The sign-in was not accepted', 'public', 'Start again from the page you wanted to see; if it happens again, choose another way to sign in.'),
  SIGN_IN_EXPIRED: row(400, 'This sign-in took too long, or was already used', 'public', 'Start again from the page you wanted to see.'),
  SIGN_IN_PROVIDER_AWAY: row(503, 'The identity provider does not answer at the moment', 'public', 'Try again in a few minutes, or choose another way to sign in.'),
  SESSION_REQUIRED: row(401, 'Nobody is signed in', 'public', 'Sign in, then come back to this page.'),
  SIGN_IN_NOT_BOUND: row(403, 'The sign-in was made for something else than this', 'public', 'Start again from the page you wanted to see: the sign-in is bound to what you agree to or ask.'),
  STEP_UP_REQUIRED: row(403, 'This needs a stronger sign-in', 'public', 'Sign in again with a way that proves more, such as an identity card.'),
  LINK_CONFLICT: row(409, 'This account cannot be linked', 'public', 'Sign in with that account and unlink it there first; accounts of two people are never joined.'),
  CSRF_REFUSED: row(403, 'The form was not sent from a page of this service', 'public', 'Open the page again and send its form once more.'),
  ...EVIDENCE_PROBLEMS,
} as const satisfies Record<string, ProblemRow>;

export type ProblemCode = keyof typeof PROBLEMS;

/** An error with a row in the table. `detail` may be shown to the row's audience; `cause` never leaves the log. */
export class AccordError extends Error {
  readonly code: ProblemCode;
  readonly detail: string;

  constructor(code: ProblemCode, detail = '', options?: { cause?: unknown }) {
    super(detail === '' ? code : `${code}: ${detail}`, options);
    this.name = 'AccordError';
    this.code = code;
    this.detail = detail;
  }
}

/** True when `error` is an AccordError, narrowed to `code` when one is given. */
export function isAccordError(error: unknown, code?: ProblemCode): error is AccordError {
  return error instanceof AccordError && (code === undefined || error.code === code);
}

/** What `read` gives; null where it refuses with an AccordError. */
export function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}

/** True when `code` has a row here: codes also arrive from peers, who may know more of them. */
export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
