// Cases of path validation: anchors and signatures, extensions, encodings, and names with their constraints.
import {
  ca,
  dn,
  keys,
  leaf,
  lowerCa,
  lowerLeaf,
  noSuch,
  type Row,
  root,
  tampered,
  under,
  unknownExtension,
} from './chains.ts';
import * as make from './make-certificate.ts';
import { der, ext, general, integer, oid, sequence } from './make-certificate.ts';

export const NAME_CASES: Row[] = [
  {
    name: 'foreign anchor',
    anchors: [root({ key: keys.other, subject: 'CN=Other', issuer: 'CN=Other' })],
    code: 'ISSUER_NOT_FOUND',
  },
  { name: 'foreign anchor of the same name', anchors: [root({ key: keys.other })], code: 'ISSUER_NOT_FOUND' },
  {
    name: 'foreign anchor of the same name and key identifier',
    anchors: [root({ key: keys.other, with: [ext.subjectKey(keys.root.id)] })],
    code: 'SIGNATURE_INVALID',
  },
  { name: 'intermediate missing', intermediates: [], code: 'ISSUER_NOT_FOUND' },
  { name: 'intermediate as only anchor', anchors: [ca()], intermediates: [], code: 'ANCHOR_INVALID' },
  {
    name: 'self-signed stranger',
    leaf: leaf({ issuer: 'CN=leaf/O=Org', signer: keys.leaf }),
    intermediates: [],
    code: 'ISSUER_NOT_FOUND',
  },
  { name: 'signature of the leaf tampered', leaf: tampered(leaf()), code: 'SIGNATURE_INVALID' },
  { name: 'signature of the intermediate tampered', intermediates: [tampered(ca())], code: 'SIGNATURE_INVALID' },
  {
    name: 'signature of the anchor tampered',
    anchors: [tampered(root())],
    code: 'ANCHOR_INVALID',
    stricter: 'anchors prove their bytes',
  },
  {
    name: 'signed by another key of the right name',
    leaf: leaf({ signer: keys.other, with: [ext.authorityKey(keys.ca.id)] }),
    code: 'SIGNATURE_INVALID',
  },
  { name: 'names differ in case and spaces', leaf: leaf({ issuer: make.name('CN=  ca', 0x13) }), code: 'valid' },

  {
    name: 'unknown critical extension on the leaf',
    leaf: leaf({ with: [unknownExtension(true)] }),
    code: 'EXTENSION_UNKNOWN_CRITICAL',
  },
  {
    name: 'unknown critical extension on the CA',
    intermediates: [ca({ with: [unknownExtension(true)] })],
    code: 'EXTENSION_UNKNOWN_CRITICAL',
  },
  {
    name: 'unknown critical extension on the anchor',
    anchors: [root({ with: [unknownExtension(true)] })],
    code: 'EXTENSION_UNKNOWN_CRITICAL',
  },
  { name: 'unknown extension', leaf: leaf({ with: [unknownExtension(false)] }), code: 'valid' },
  {
    name: 'extension twice',
    leaf: leaf({ rawExtension: sequence(oid('2.5.29.19'), der(0x04, sequence())) }),
    code: 'CERTIFICATE_MALFORMED',
  },
  {
    name: 'unknown extension twice',
    leaf: leaf({ with: [unknownExtension(false), unknownExtension(false)] }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'RFC 5280 4.2: once',
  },
  {
    name: 'policy constraints',
    intermediates: [ca({ with: [{ oid: '2.5.29.36', critical: true, value: sequence(der(0x80, [0])) }] })],
    code: 'EXTENSION_REFUSED',
    stricter: 'policies are not processed',
  },
  {
    name: 'plain policies',
    leaf: leaf({ with: [{ oid: '2.5.29.32', value: sequence(sequence(oid('1.2.3'))) }] }),
    code: 'valid',
  },
  {
    name: 'name constraints on a leaf',
    leaf: leaf({ with: [ext.constraints([general.dns('a.example')])] }),
    code: 'EXTENSION_REFUSED',
    stricter: noSuch,
  },
  { name: 'no authority key identifier', leaf: leaf({ without: ['2.5.29.35'] }), code: 'KEY_IDENTIFIER' },
  {
    name: 'no subject key identifier on a CA',
    intermediates: [ca({ without: ['2.5.29.14'] })],
    code: 'KEY_IDENTIFIER',
  },
  {
    name: 'authority key identifier of another key',
    leaf: leaf({ with: [ext.authorityKey(keys.other.id)] }),
    code: 'ISSUER_NOT_FOUND',
  },

  {
    name: 'version 1',
    leaf: leaf({ version: [], without: ['2.5.29.19', '2.5.29.15', '2.5.29.37', '2.5.29.14', '2.5.29.35'] }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: noSuch,
  },
  { name: 'version 2', leaf: leaf({ version: [der(0xa0, integer(1))] }), code: 'CERTIFICATE_MALFORMED' },
  { name: 'serial 0', leaf: leaf({ serial: integer(0) }), code: 'CERTIFICATE_MALFORMED', stricter: 'RFC 5280 4.1.2.2' },
  {
    name: 'negative serial',
    leaf: leaf({ serial: der(0x02, [0x80]) }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'RFC 5280 4.1.2.2',
  },
  {
    name: 'serial of 21 octets',
    leaf: leaf({ serial: der(0x02, Buffer.alloc(21, 1)) }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'RFC 5280 4.1.2.2',
  },
  { name: 'serial with a spare octet', leaf: leaf({ serial: der(0x02, [0, 1]) }), code: 'CERTIFICATE_MALFORMED' },
  {
    name: 'default written: critical FALSE',
    leaf: leaf({ rawExtension: sequence(oid('1.2.3'), der(0x01, [0]), der(0x04, sequence())) }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'strict DER',
  },
  {
    name: 'default written: cA FALSE',
    leaf: leaf({ with: [{ oid: '2.5.29.19', critical: true, value: sequence(der(0x01, [0])) }] }),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'strict DER',
  },
  {
    name: 'trailing octets',
    leaf: Buffer.concat([leaf(), Buffer.from([0])]),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'one certificate, nothing after it',
  },
  { name: 'empty subject', leaf: leaf({ subject: '' }), code: 'NAME_EMPTY' },
  {
    name: 'empty subject with critical names',
    leaf: leaf({ subject: '', with: [{ ...ext.altNames(general.dns('a.example')), critical: true }] }),
    code: 'valid',
  },
  { name: 'empty list of names', leaf: leaf({ with: [ext.altNames()] }), code: 'CERTIFICATE_MALFORMED' },

  {
    name: 'DNS permitted',
    leaf: leaf(dn(general.dns('a.b.example'))),
    intermediates: under([general.dns('b.example')]),
    code: 'valid',
  },
  {
    name: 'DNS permitted, another case',
    leaf: leaf(dn(general.dns('A.B.Example'))),
    intermediates: under([general.dns('b.EXAMPLE')]),
    code: 'valid',
  },
  {
    name: 'DNS not permitted',
    leaf: leaf(dn(general.dns('a.c.example'))),
    intermediates: under([general.dns('b.example')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'DNS suffix without a dot',
    leaf: leaf(dn(general.dns('evilb.example'))),
    intermediates: under([general.dns('b.example')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'DNS one of two not permitted',
    leaf: leaf(dn(general.dns('a.b.example'), general.dns('c.example'))),
    intermediates: under([general.dns('b.example')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'DNS excluded',
    leaf: leaf(dn(general.dns('a.b.example'))),
    intermediates: under([], [general.dns('b.example')]),
    code: 'NAME_EXCLUDED',
  },
  {
    name: 'DNS wildcard reaches into an exclusion',
    leaf: leaf(dn(general.dns('*.example'))),
    intermediates: under([], [general.dns('b.example')]),
    code: 'NAME_EXCLUDED',
    stricter: 'a wildcard stands for every name',
  },
  {
    name: 'common name that is a host, not permitted',
    leaf: leaf({ subject: 'CN=www.c.example' }),
    intermediates: under([general.dns('b.example')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'constraints of two CAs intersect',
    leaf: lowerLeaf(dn(general.dns('a.example'))),
    intermediates: [
      lowerCa({ with: [ext.constraints([general.dns('a.example')])] }),
      ...under([general.dns('b.example')]),
    ],
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'constraints of the anchor',
    leaf: leaf(dn(general.dns('a.example'))),
    anchors: [root({ with: [ext.constraints([general.dns('b.example')])] })],
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'address permitted',
    leaf: leaf(dn(general.ip(10, 1, 2, 3))),
    intermediates: under([general.ip(10, 0, 0, 0, 255, 0, 0, 0)]),
    code: 'valid',
  },
  {
    name: 'address not permitted',
    leaf: leaf(dn(general.ip(11, 1, 2, 3))),
    intermediates: under([general.ip(10, 0, 0, 0, 255, 0, 0, 0)]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'address of the other family',
    leaf: leaf(dn(general.ip(...Buffer.alloc(16, 1)))),
    intermediates: under([general.ip(10, 0, 0, 0, 255, 0, 0, 0)]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'address mask with holes',
    leaf: leaf(dn(general.ip(10, 1, 2, 3))),
    intermediates: under([general.ip(10, 0, 0, 3, 255, 0, 0, 255)]),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'masks are prefixes',
  },
  {
    name: 'mailbox permitted by host',
    leaf: leaf(dn(general.email('a@b.example'))),
    intermediates: under([general.email('b.example')]),
    code: 'valid',
  },
  {
    name: 'mailbox not permitted',
    leaf: leaf(dn(general.email('a@x.b.example'))),
    intermediates: under([general.email('b.example')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'mailbox in the subject excluded',
    leaf: leaf({ subject: 'CN=x/E=a@b.example' }),
    intermediates: under([], [general.email('b.example')]),
    code: 'NAME_EXCLUDED',
  },
  {
    name: 'directory permitted',
    leaf: leaf({ subject: 'O=Org/CN=x' }),
    intermediates: under([general.directory('O=Org')]),
    code: 'valid',
  },
  {
    name: 'directory not permitted',
    leaf: leaf({ subject: 'O=Else/CN=x' }),
    intermediates: under([general.directory('O=Org')]),
    code: 'NAME_NOT_PERMITTED',
  },
  {
    name: 'directory excluded, another case',
    leaf: leaf({ subject: 'O=ORG/CN=x' }),
    intermediates: under([], [general.directory('O=org')]),
    code: 'NAME_EXCLUDED',
  },
  {
    name: 'URI under a URI constraint',
    leaf: leaf(dn(general.uri('https://b.example/'))),
    intermediates: under([general.uri('b.example')]),
    code: 'NAME_CONSTRAINT_UNSUPPORTED',
    stricter: 'URI constraints are not compared',
  },
  {
    name: 'URI constraint and no URI',
    leaf: leaf(dn(general.dns('b.example'))),
    intermediates: under([general.uri('b.example')]),
    code: 'valid',
  },

  {
    name: 'two CAs of one name and key, the first constrained',
    leaf: leaf(dn(general.dns('a.example'))),
    intermediates: [...under([general.dns('b.example')]), ca()],
    code: 'valid',
    several: 'openssl stops at the first path',
  },

  {
    name: 'the key identifier of the CA under another name',
    leaf: leaf({ issuer: 'CN=Nobody' }),
    code: 'ISSUER_NOT_FOUND',
  },
  {
    name: 'authority key identifier with another serial',
    leaf: leaf({ with: [withSerial(99_999)] }),
    code: 'ISSUER_NOT_FOUND',
  },
  { name: 'a leaf put among the anchors', ...trustedLeaf(), code: 'LEAF_IS_ANCHOR', stricter: 'an anchor is a CA' },
  {
    name: 'address of the other family, everything permitted',
    leaf: leaf(dn(general.ip(...Buffer.alloc(16)))),
    intermediates: under([general.ip(...Buffer.alloc(8))]),
    code: 'NAME_NOT_PERMITTED',
  },
  { name: 'a fourth member', leaf: sequence(...members(leaf()), integer(1)), code: 'CERTIFICATE_MALFORMED' },
  {
    name: 'a length in more octets than needed',
    leaf: longLength(leaf()),
    code: 'CERTIFICATE_MALFORMED',
    stricter: 'strict DER',
  },
];

function withSerial(serial: number): make.Extension {
  const names = der(0xa1, general.directory('CN=Root'));
  return { oid: '2.5.29.35', value: sequence(der(0x80, keys.ca.id), names, der(0x82, integer(serial).subarray(2))) };
}

function trustedLeaf() {
  const own = leaf({ issuer: 'CN=leaf/O=Org', signer: keys.leaf });
  return { leaf: own, intermediates: [], anchors: [own] };
}

function members(certificate: Buffer): Buffer[] {
  return [certificate.subarray(4)];
}

// 30 82 xx xx → 30 83 00 xx xx
function longLength(certificate: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x30, 0x83, 0x00]), certificate.subarray(2)]);
}
