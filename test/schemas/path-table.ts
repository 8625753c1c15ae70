// The table of paths: what each becomes behind a service. Paths of one row are separated by spaces.

/** The same string comes out. */
export const IDENTICAL: readonly (readonly [string, string])[] = [
  ['no path', '/ /a /a/b/c /a/ /a/b/'],
  ['characters of RFC 3986', "/-._~!$&'()*+,;=:@ /A-Z_a.z~0 /a=b /a:b@c /: /a+b /* /a**b /(x)"],
  ['unreserved characters escaped: two strings, not one', '/%61 /a%62c /%7Euser /%7euser /%2D /%5F'],
  ['reserved characters escaped', '/%3F /a%3Fb=c /%23 /a%23b /%3a /%40 /%26 /%3d /%2B /%20a'],
  ['case of hex digits', '/%c3%a9 /%C3%A9 /%C3%a9 /%e4%ba%ba /%E4%BA%BA'],
  ['other scripts', '/%F0%9F%90%88 /%D0%B0 /%E2%82%AC /%CC%81 /e%CC%81 /%EF%BC%81 /%C2%BD'],
  ['a percent sign', '/100%25 /100%25/x /%25zz /a%25-b /%25 /%25u00 /%25%2B'],
  ['dots that are names', '/.a /a. /a..b /..a /a.. /a.b.c /.well-known/x /...a /%2ea /a%2E'],
  ['parameters', '/a;b /a;b=c /a;b=c;d /a;/b /a%3bb /a;b/c;d /a;.. /a;. /a,b;c /a;b=%2e'],
  ['spaces in names', '/a%20b /a%20 /%20%2Ea'],
  ['what an application may know', "/~subject /a$b /!x /0 /- /_ /' /a%22b /%3Cx%3E /%7B%7D"],
  ['sequences that look like traversal and are names', '/a...b /..%20a /-.. /..- /~ /a~1 /.%61'],
];

/** Refused with PATH_REFUSED. */
export const REFUSED: readonly (readonly [string, string])[] = [
  ['dot segments', '/. /.. /a/. /a/.. /./a /../a /a/./b /a/../b /a/../../b /../../../etc/passwd'],
  ['dot segments escaped', '/%2e /%2E /%2e%2e /%2E%2e /.%2e /%2e. /a/%2e%2e/b /a/.%2E/b /a/%2e/'],
  ['dot segments with parameters', '/..; /..;a /.;a /a/..;x=y/b /%2e%2e;x /..%3b /..%3Bx /%2e%3bx/a'],
  ['dots and spaces, as Windows drops them', '/... /.... /..%20 /.%20 /%20. /.%20. /%20 /a/%20%20/b'],
  ['an encoded slash', '/%2f /a%2fb /a%2Fb /..%2f /..%2Fetc /%2e%2e%2f /a/%2F/b /a%2f /;%2f'],
  ['a backslash', '/\\ /a\\b /..\\a /%5c /a%5cb /a%5Cb /..%5c /..%5C..%5Cwindows /%5c%5chost'],
  ['double encoding', '/%252e /%252E%252e /%252f /a%252Fb /%255c /%2500 /%2561 /%25%32%65 /%2525'],
  ['double encoding, otherwise', '/%25%32e /%2532e /%25252e /%25c0%25ae /%25u002e /%25U2215 /%25ff'],
  ['double encoding, otherwise', '/50%2520'],
  ['empty segments', '// //a /a//b /a// /// /a///b //host/a /a/b//c/ //..'],
  ['empty segments with parameters', '/; /;a /;a/b /a/;/b /a/;x=y/b /a/; /%3b /a/%3Bx/b /;;'],
  ['NUL and other controls', '/%00 /a%00 /a%00.pdf /%0a /%0d /%0D%0A /a%0d%0aX:%20y /%09 /%7f /%1f'],
  ['NUL and other controls', '/%c2%85'],
  ['overlong UTF-8', '/%c0%ae /%c0%ae%c0%ae /%c0%af /%e0%80%af /%f0%80%80%af /%c1%9c /%c0%80 /%e0%80%ae'],
  ['not UTF-8', '/%ff /%fe%ff /%e9 /%80 /%c3 /%c3%28 /%ed%a0%80 /%ed%bf%bf /%f4%90%80%80'],
  ['not UTF-8', '/%f8%88%80%80%80 /%bf'],
  ['raw characters outside RFC 3986', '/é /人 /a\tb /\u0000 /a\nb /a\r /" /<a> /{id} /a|b /^ /` /[a]'],
  ['raw characters outside RFC 3986', '/\x7f /\x80'],
  ['bad escapes', '/% /%a /a% /%zz /%2 /%g0 /%0g /%% /%%32e /%u002e /%u2215 /%-1 /%+2'],
  ['a query or fragment inside', '/? /a?b /# /a#b ? #a'],
  ['no slash in front', 'a . .. http://host/a * %2f ;a \\a'],
  ['full-width and compatibility forms', '/%ef%bc%8e /%EF%BC%8E%EF%BC%8E /%ef%bc%8f /a%ef%bc%8fb'],
  ['full-width and compatibility forms', '/%ef%bc%bc /%ef%b9%a8 /%ef%b9%92 /%e2%80%a4 /%e2%80%a5'],
  ['full-width and compatibility forms', '/%e2%80%a6 /.%ef%bc%8e /..%ef%bc%9b /%ef%bc%9b /%ef%bc%852e'],
  ['full-width and compatibility forms', '/%ef%b9%aa2f /%e2%84%85 /%e2%84%80'],
  ['taken for a slash by old code pages', '/a%e2%81%84b /..%e2%88%95 /%e2%88%96 /%e2%a7%b5'],
];
