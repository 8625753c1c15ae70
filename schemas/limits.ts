// Every size, count and duration that bounds something from outside. One place, so that a reader can see what the
// exchange promises and a test can stand at each edge. Sizes are bytes, durations milliseconds.

/** Largest body a lookup may carry in memory; larger ones are for the spooled form. */
export const MAX_BODY_BYTES = 256 * 1024;
/** Largest statement; a real one is about 900 bytes. */
export const MAX_STATEMENT_BYTES = 8 * 1024;
/** Largest committed context (method, path, query, headers, ...). */
export const MAX_CONTEXT_BYTES = 64 * 1024;
export const MAX_PATH_BYTES = 8 * 1024;
export const MAX_QUERY_BYTES = 16 * 1024;
export const MAX_HEADERS = 64;
export const MAX_HEADER_VALUE_BYTES = 8 * 1024;
/** A compact JWS over a batch root, and a ticket: both are about 500 bytes. */
export const MAX_SIGNATURE_BYTES = 4 * 1024;
export const MAX_TICKET_BYTES = 4 * 1024;
/** RFC 9162 batches: up to 256 statements, so at most 8 path hashes. */
export const MAX_BATCH_STATEMENTS = 256;
export const MAX_BATCH_PATH = 8;
/** The body of a peer message: a lookup's, or a whole answer that is delivered again inside a settlement's. */
export const MAX_MESSAGE_BODY_BYTES = MAX_BODY_BYTES + MAX_CONTEXT_BYTES + 16 * 1024;
/** One whole peer message: ticket, sealed head, sealed body and their record tags. */
export const MAX_PEER_MESSAGE_BYTES = MAX_MESSAGE_BODY_BYTES + MAX_CONTEXT_BYTES + 32 * 1024;
/** Messages that one sealed batch of the framed link may hold, and its plaintext: the largest single message. */
export const MAX_BATCH_MESSAGES = 256;
export const MAX_BATCH_BYTES =
  MAX_MESSAGE_BODY_BYTES + MAX_CONTEXT_BYTES + MAX_STATEMENT_BYTES + MAX_SIGNATURE_BYTES + 1024;
/** One frame of that link: a sealed batch with its ticket, salt and record tags. */
export const MAX_FRAME_BYTES = MAX_BATCH_BYTES + MAX_TICKET_BYTES + 1024;
/** A batch is cut at this size, so that none is long on the wire; larger messages go after the others of their turn, alone. */
export const BATCH_CUT_BYTES = 64 * 1024;
/** Requests that one framed connection may have under way, not yet answered: their number and their bytes. */
export const FRAMES_CREDIT_MESSAGES = 256;
export const FRAMES_CREDIT_BYTES = 16 * 1024 * 1024;
/** Handed to a framed connection's socket before it is asked whether it takes more. */
export const FRAMES_WRITE_BYTES = 256 * 1024;
/** What a peer of a framed connection has not taken; who lets more pile up, and goes on sending, is cut off. */
export const MAX_FRAMES_HELD_BYTES = 32 * 1024 * 1024;
/** Messages that wait for their turn on a framed link to one peer; one more is not sent. */
export const MAX_FRAMES_WAITING = 512;
/** A framed connection is looked after this often; in between it may carry so many control frames. */
export const FRAMES_TICK_MS = 5_000;
export const MAX_CONTROL_FRAMES_PER_TICK = 64;
/** A peer that says nothing is asked after this long, and given up after that; a frame that began has to end by then. */
export const FRAMES_PING_MS = 15_000;
export const FRAMES_SILENCE_MS = 30_000;
/** What is sent has to be taken in this time, in part at least. */
export const FRAMES_STALL_MS = 120_000;
/** A framed connection without messages is closed after this long. */
export const FRAMES_IDLE_MS = 5 * 60_000;
/** A peer whose port speaks no frames is asked for them again after this long. */
export const FRAMES_ASKED_AGAIN_MS = 60_000;
/** Plaintext bytes in one sealed record. */
export const SEAL_RECORD_BYTES = 64 * 1024;
/** A ticket is used, and accepted, this long. */
export const TICKET_LIFETIME_MS = 10 * 60_000;
/** Opened tickets remembered of one peer; a sending process makes one in ten minutes. */
export const MAX_OPEN_TICKETS_PER_PEER = 64;
/** One time-stamp authority has this long to answer before the next one is asked. */
export const TIME_STAMP_TIMEOUT_MS = 8_000;
/** An entry of the message log may wait so long for a time-stamp unless the configuration says otherwise. */
export const DEFAULT_GRACE_MS = 4 * 3_600_000;
/** A statement's `at` may differ this much from the receiver's clock; a claim is kept for twice that. */
export const CLOCK_WINDOW_MS = 5 * 60_000;
export const REPLAY_WINDOW_MS = 2 * CLOCK_WINDOW_MS;
/** A lookup is given up after this long; the deadline travels with the request. */
export const DEFAULT_DEADLINE_MS = 30_000;
/** Longest deadline of a request and longest time of a backend, to the first byte of a large answer; a claim is kept as long. */
export const MAX_DEADLINE_MS = 600_000;
/** Requests that are being worked on at once; one more is refused with 503 before its body is read. */
export const MAX_EXCHANGES_IN_FLIGHT = 512;
export const MAX_CONNECTIONS = 2_048;
/** Connections of one certificate; a sending process of ours opens at most 64. */
export const MAX_CONNECTIONS_PER_PEER = 256;
/** Share of the in-flight budget that one peer, or one service's backend, may take. */
export const MAX_IN_FLIGHT_PER_PEER = 256;
export const MAX_IN_FLIGHT_PER_SERVICE = 256;
/** Share of this server's own part that one information system may take. */
export const MAX_IN_FLIGHT_PER_SYSTEM = 128;
/** Header fields of one HTTP request; Node would drop those above its own limit without a word. */
export const MAX_HTTP_HEADERS = 100;
/** Distinct codes of unverified messages that one summary names; the rest is counted as one. */
export const MAX_SUMMARY_CODES = 32;
/** Encryption keys live at most this long (DESIGN: what is signed and sealed). */
export const ENCRYPTION_KEY_LIFETIME_MS = 30 * 86_400_000;
/** Certificates of one use, and encryption keys, that one server registers. */
export const MAX_REGISTERED_KEYS = 4;
/** JSON documents from outside. */
export const MAX_JSON_BYTES = 1024 * 1024;
export const MAX_JSON_DEPTH = 32;
export const MAX_JSON_VALUES = 100_000;
/** Statements of distrust that count on one approver's word alone, until a content confirms them (or another limit). */
export const DISTRUST_PER_APPROVER = 8;
/** Of one owner's key: a server's certificates and keys of all uses, and the server itself. */
export const DISTRUST_PER_OWNER = 16;
/** The list only grows; at one statement a day it lasts for eleven years. */
export const MAX_DISTRUST_ENTRIES = 4_096;
export const MAX_DISTRUST_STATEMENT_BYTES = 4 * 1024;
/** One source of the configuration may take this long for one refresh; what it brought by then is not asked for again. */
export const CONFIGURATION_SOURCE_TIMEOUT_MS = 45_000;
/** Newest freshness older than this: the next source is asked too. It is signed every minute. */
export const CONFIGURATION_LATE_MS = 150_000;
/** One peer is asked for newer configuration at most this often. */
export const PEER_NEWS_INTERVAL_MS = 5_000;
/** Files of the configuration that one peer is sent at once; a client asks for 8 parts at once. */
export const MAX_CONFIGURATION_FILES_AT_ONCE = 16;
/** A release of the dictionary as it is handed to the registry: 20,000 elements in two languages are about 20 MB. */
export const MAX_DICTIONARY_BYTES = 48 * 1024 * 1024;
/** Fields one lookup may name (paths or elements), as the Dutch BRP has it. */
export const MAX_FIELDS = 130;
/** Places in an answer that one lookup's fields may lead to. */
export const MAX_RELEASED_PATHS = 250;
/** Different predicates over one input that one consumer may ask of one person within the window. */
export const PREDICATE_BUDGET = 4;
export const PREDICATE_WINDOW_DAYS = 30;
/** Reports of doubt of one client that wait for an answer; and how long a closed one is kept. */
export const MAX_WAITING_DOUBTS_PER_CLIENT = 1_000;
export const DOUBT_KEPT_MS = 365 * 86_400_000;
/** A report of doubt with its values and its note. */
export const MAX_DOUBT_BYTES = 16 * 1024;
/** Entries of the catalogue that one search shows. */
export const MAX_CATALOGUE_ITEMS = 100;
/** A receipt: claims of up to 130 elements and four sealed subjects, signed. */
export const MAX_RECEIPT_BYTES = 24 * 1024;
/** Entries of one status list, and the signed text of one: 2 bits an entry, encoded twice, if they do not compress. */
export const MAX_STATUS_ENTRIES = 4_194_304;
export const MAX_STATUS_LIST_BYTES = 2 * 1024 * 1024;
/** Status lists that one provider's server keeps, and their entries together, a byte each. */
export const MAX_STATUS_LISTS = 256;
export const MAX_HELD_STATUSES = 64 * 1024 * 1024;
/** A subject key lives as long as the longest receipt that is sealed to it may be used. */
export const SUBJECT_KEY_LIFETIME_MS = 5 * 365 * 86_400_000;
/** A status list may be this old, by the highest level asked for; a withdrawal counts at the latest this and 5 s later. */
export const STATUS_MAX_AGE_MS = { 1: 120_000, 2: 120_000, 3: 60_000, 4: 20_000 } as const;
/** A clock that is further from the newest signed time decides nothing about consent. */
export const STATUS_MAX_DEVIATION_MS = 5_000;
/** A consent lasts at most this long; a request for one waits for the citizen this long. */
export const MAX_CONSENT_DAYS = 366;
export const CONSENT_REQUEST_LIFETIME_MS = 14 * 86_400_000;
/** A consent may be used at most so many times within the days of its frequency; the provider keeps the time of each. */
export const MAX_FREQUENCY_USES = 10_000;
/** Services that one request for consent may name. */
export const MAX_CONSENT_SERVICES = 16;
/** One line of the consent service's records: a request with the notices in two languages. */
export const MAX_CONSENT_RECORD_BYTES = 2 * 1024 * 1024;
/** After two refusals of one client's purpose a citizen is not asked for it again this long. */
export const CONSENT_REFUSALS_BEFORE_PAUSE = 2;
export const CONSENT_COOL_DOWN_MS = 30 * 86_400_000;
/** Requests of one client that wait for an answer, of all citizens and of one. */
export const MAX_WAITING_CONSENTS_PER_CLIENT = 10_000;
export const MAX_WAITING_CONSENTS_PER_PERSON = 20;
/** A link that its addressee has opened works this much longer. */
export const CONSENT_LINK_AFTER_OPENING_MS = 15 * 60_000;
/** A status list starts with so many places, and doubles when half of them are taken. */
export const STATUS_LIST_PLACES = 65_536;
/** A status list is signed anew this often, and this soon after a change. */
export const STATUS_LIST_INTERVAL_MS = 5_000;
export const STATUS_LIST_DELAY_MS = 100;
/** Old status lists are kept for auditors this long. */
export const STATUS_ARCHIVE_DAYS = 400;
/** A citizen's session: idle, and in all, however busy. */
export const SESSION_IDLE_MS = 15 * 60_000;
export const SESSION_ABSOLUTE_MS = 8 * 3_600_000;
export const MAX_SESSIONS_PER_ACCOUNT = 16;
/** From the start of a sign-in to its end at the callback. */
export const SIGN_IN_ATTEMPT_MS = 10 * 60_000;
/** Sign-ins that one browser may have under way. */
export const MAX_SIGN_INS_PER_BROWSER = 4;
/** Path and query of a callback: code, state and issuer are a few hundred bytes. */
export const MAX_CALLBACK_BYTES = 4 * 1024;
export const MAX_LINKED_ACCOUNTS = 8;
/** One answer of an identity provider: discovery, keys or tokens. */
export const MAX_IDENTITY_ANSWER_BYTES = 128 * 1024;
export const IDENTITY_TIMEOUT_MS = 8_000;
/** A request waits this long for a status list; then what is held decides. */
export const STATUS_FETCH_TIMEOUT_MS = 2_000;
/** A token of an official: who, for which case, bound to what; and how long one is good for. */
export const MAX_EVIDENCE_BYTES = 8 * 1024;
export const EVIDENCE_LIFETIME_MS = 10 * 60_000;
/** An emergency: how long at most, at which services, for how many persons at one provider. */
export const EMERGENCY_LIFETIME_MS = 2 * 3_600_000;
export const MAX_EMERGENCY_SERVICES = 16;
export const MAX_EMERGENCY_PERSONS = 50;
/** After its end an emergency is reviewed within this time; then its department gets nothing until it is. */
export const EMERGENCY_REVIEW_MS = 3 * 86_400_000;
/** Emergencies of one subsystem that may wait for a review, and how many of them anybody is shown. */
export const MAX_REVIEWS_WAITING = 1_000;
export const MAX_DUE_REVIEWS = 50;
/** A report of an emergency that waits so long for the registry is an alarm; one call of the registry may take so long. */
export const EMERGENCY_REPORT_ALARM_MS = 15 * 60_000;
export const REGISTRY_TIMEOUT_MS = 10_000;
/** Servers that are noted to have answered on one emergency. */
export const MAX_EMERGENCY_REPORTERS = 64;
/** Reports and reviews that the registry looks at in a minute, of one address (of IPv6 its /64) and in all. */
export const MAX_EMERGENCY_POSTS_PER_ADDRESS = 120;
export const MAX_EMERGENCY_POSTS_PER_MINUTE = 1_200;
/** Subsystems that one list of locks may name. */
export const MAX_LOCKS = 5_000;
/** Keys that one subsystem's officials sign with. */
export const MAX_OFFICIAL_KEYS = 8;
/** A citizen's question to a provider: how old it may be, how much it is answered with, how long accesses are shown. */
export const CITIZEN_QUESTION_LIFETIME_MS = 5 * 60_000;
export const MAX_ACCESSES = 200;
export const ACCESS_KEPT_DAYS = 1_100;
/** What is destroyed or held at once: single records, exchanges of one order, entries of destroyed days whose keys stay. */
export const MAX_DESTROYED_RECORDS = 256;
export const MAX_HELD_EXCHANGES = 500;
export const MAX_KEPT_RECORDS = 1_000;
export const MAX_HOLDS = 1_000;
export const MAX_RETENTION_CLASSES = 100;
/** A note about destruction or a hold; one with a certificate may be twice as long. */
export const MAX_RETENTION_NOTE_BYTES = 64 * 1024;
/** What is due so long and not held is an alarm. */
export const DESTRUCTION_OVERDUE_DAYS = 7;
/** One segment of an archive, unless one checkpoint covers more; one object at its destination, and its plaintext. */
export const ARCHIVE_SEGMENT_ENTRIES = 16_384;
export const MAX_ARCHIVE_OBJECT_BYTES = 64 * 1024 ** 2;
export const ARCHIVE_FILE_BYTES = 1024 ** 2;
export const MAX_ARCHIVE_FILES = 4_000;
export const MAX_ARCHIVE_MANIFEST_BYTES = 512 * 1024;
export const MAX_ARCHIVE_SEGMENTS = 1_000_000;
/** A list of what lies in an archive: names looked at in a folder; pages of a bucket, one of them, and all together. */
export const MAX_ARCHIVE_LISTED = 10_000_000;
export const MAX_ARCHIVE_LIST_PAGES = 10_000;
export const MAX_ARCHIVE_LIST_PAGE_BYTES = 2 * 1024 ** 2;
export const MAX_ARCHIVE_LIST_BYTES = 4 * 1024 ** 3;
export const MAX_ARCHIVE_NAME_CHARS = 300;
/** A row of who looked is shown so long once the law hides it no more, even where its record was destroyed before. */
export const ACCESS_SHOWN_DAYS = 30;
export const MAX_ID_TOKEN_CHARS = 16 * 1024;
export const MAX_RECEIPTS_ASKED = 200;
/** Largest body of one message in the streamed form, unless the settings say less; what one may ever say. */
export const DEFAULT_MAX_STREAMED_BYTES = 1024 ** 3;
export const MAX_STREAMED_BYTES = 64 * 1024 ** 3;
/** The same on the wire: 16 bytes more each 64 KiB, and the head. */
export const MAX_STREAM_BYTES = MAX_STREAMED_BYTES + MAX_STREAMED_BYTES / 4_096 + MAX_PEER_MESSAGE_BYTES;
/** Bytes that the bodies under way may take in the spool together. */
export const MAX_SPOOLED_BYTES = 16 * 1024 ** 3;
/** Of them so many lie in memory, which is taken once the first comes; the others lie on the disk. */
export const SPOOL_MEMORY_BYTES = 24 * 1024 ** 2;
/** A body on its way moves at least so much in so long, or ends; otherwise its connection is cut off. */
export const BODY_IDLE_MS = 30_000;
export const MIN_MOVED_BYTES = 16 * 1024;
/** Questions of one citizen to one server in an hour, and how many of a citizen's reports of doubt may wait there. */
export const MAX_QUESTIONS_PER_HOUR = 60;
export const MAX_WAITING_DOUBTS_PER_PERSON = 20;
/** Reports of their own that a citizen is shown, the newest. */
export const MAX_DOUBTS_SHOWN = 100;
/** A question with its token; what an answer to it takes of accesses and of reports, so that both fit into one body. */
export const MAX_QUESTION_BYTES = 32 * 1024;
export const MAX_ACCESSES_BYTES = 192 * 1024;
export const MAX_DOUBTS_BYTES = 48 * 1024;
/** A mandate that a citizen gave to another person: how long, how far, and how many. */
export const MAX_CITIZEN_MANDATE_DAYS = 366;
export const MAX_CITIZEN_MANDATE_LEVEL = 3;
/** One that a register filed lasts at most a century. */
export const MAX_REGISTER_MANDATE_DAYS = 36_525;
export const MAX_MANDATE_PURPOSES = 50;
export const MAX_MANDATE_NAME_CHARS = 100;
/** Of one represented person, and of one representative, in force or offered. */
export const MAX_MANDATES_OF_REPRESENTED = 20;
export const MAX_MANDATES_OF_REPRESENTATIVE = 50;
/** An offer lapses when nobody accepts it; so many offers in a day, and so many to one identifier in a month. */
export const MANDATE_OFFER_LIFETIME_MS = 14 * 86_400_000;
export const MAX_MANDATE_OFFERS_A_DAY = 5;
export const MANDATE_OFFERS_BEFORE_PAUSE = 2;
export const MANDATE_COOL_DOWN_MS = 30 * 86_400_000;
/** A citizen's question to all departments: what one may answer, how long it may take, how many are asked at once, and all. */
export const MAX_DEPARTMENT_ANSWER_BYTES = 512 * 1024;
export const DEPARTMENT_ANSWER_TIMEOUT_MS = 8_000;
export const MAX_DEPARTMENTS_AT_ONCE = 8;
export const ASKING_TIMEOUT_MS = 30_000;
/** Questions that the consent service carries at once, of all citizens. */
export const MAX_QUESTIONS_UNDER_WAY = 32;
/** Answers are shown this long, and so many accesses of one citizen, and of all, are held in memory for it. */
export const ACCESSES_SHOWN_MS = 15 * 60_000;
export const MAX_ACCESSES_SHOWN = 2_000;
export const MAX_ACCESSES_HELD = 100_000;
/** What a provider said of the uses of a receipt is shown this long; a page waits for it this long. */
export const RECEIPT_USES_KEPT_MS = 60_000;
export const RECEIPT_USES_TIMEOUT_MS = 2_500;
/** A receipt that somebody wants checked, with the form around it. */
export const MAX_CHECK_FORM_BYTES = 32 * 1024;
export const MAX_CHECKS_PER_SECOND = 50;
/** Notices of emergencies: how long a citizen's are kept, how many a department may bring in a day, in all and for one person. */
export const NOTICE_KEPT_DAYS = 400;
export const MAX_NOTICES_A_DAY = 5_000;
export const MAX_NOTICES_A_DAY_OF_PERSON = 100;
/** Unread ones that one page shows in full. */
export const MAX_NOTICES_SHOWN = 20;
export const MAX_NOTICE_BYTES = 16 * 1024;
/** One attempt to bring a notice. */
export const NOTICE_TIMEOUT_MS = 10_000;
/** The body of add-checkpoint: a proof of 63 hashes and a note with a few signatures. */
export const MAX_ADD_CHECKPOINT_BYTES = 16 * 1024;
/** Checkpoints that wait for their turn at a witness; one more is told to come back. */
export const MAX_WITNESS_WAITING = 4_096;
/** A log that grew is cosigned so often at once, and then once more after each such time. */
export const WITNESS_ADVANCE_BURST = 12;
export const WITNESS_ADVANCE_EVERY_MS = 10_000;
/** The same for a tree that was cosigned before. */
export const WITNESS_REPEAT_BURST = 30;
export const WITNESS_REPEAT_EVERY_MS = 2_000;
/** Lines that a cosigner takes in one answer of the feed that it checks every log with; what the registry gives at once. */
export const MAX_FEED_LEAVES = 4_096;
export const FEED_PAGE_LEAVES = 512;
/** Leaves that the registry reads for the feed in a minute, for one address (of IPv6 its /64) and in all. */
export const MAX_FEED_LEAVES_PER_ADDRESS = 131_072;
export const MAX_FEED_LEAVES_PER_MINUTE = 786_432;
/** A cosigner's step: so many leaves, and for so long. The next one goes on there: the registry asks once a minute. */
export const MAX_FEED_STEP_LEAVES = 65_536;
export const FEED_STEP_MS = 30_000;
/** Logs that a department's witness remembers; a registry that shows more of them is not followed. */
export const MAX_WITNESSED_LOGS = 65_536;
/** The auditor's pages: a session ends so long after its last use, and so long after it began. */
export const AUDITOR_SESSION_IDLE_MS = 15 * 60_000;
export const AUDITOR_SESSION_MS = 4 * 3_600_000;
export const MAX_AUDITOR_SESSIONS = 16;
/** Wrong API keys in the sign-in form, of one source, within ten minutes. */
export const AUDITOR_SIGN_IN_ATTEMPTS = 10;
export const MAX_AUDITOR_FORM_BYTES = 16 * 1024;
/** What one page of a search shows, how many entries it looks at for that, and for how long. */
export const AUDITOR_PAGE_ROWS = 25;
export const MAX_AUDITOR_ENTRIES_LOOKED_AT = 500_000;
export const AUDITOR_SEARCH_MS = 1_500;
/** Work of the auditor's pages that waits or is done, and how long one piece of it may take. */
export const MAX_AUDITOR_TASKS = 8;
export const AUDITOR_TASK_MS = 20_000;
/** Of a context or a body, shown on a page. */
export const MAX_AUDITOR_SHOWN_BYTES = 64 * 1024;
