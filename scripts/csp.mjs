/**
 * The content security policy of the lab: the header of `npm start`, and a meta tag for hosts that send no headers.
 * 'wasm-unsafe-eval' lets WebAssembly compile, which the sentence encoder's runtime is; no script can be made of text by it.
 * Fetches go anywhere over https because a reader may name a host of his own; the lab asks before the first one.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "media-src 'self' blob:",
  "worker-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');
