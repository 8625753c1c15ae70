// The two files of undici that the client needs. Its front door also loads fetch, caches, WebSocket and more: 7 MiB in every
// process. The version is pinned, and the client's tests run over these files.
declare module 'undici/lib/dispatcher/pool.js' {
  const Pool: typeof import('undici').Pool;
  export default Pool;
}
declare module 'undici/lib/core/errors.js' {
  const errors: typeof import('undici').errors;
  export default errors;
}
