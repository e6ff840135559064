// What is refused before the application sees a request, and how long a connection is read after its answer.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/**
 * Most header lines of a request. Node itself drops further lines in silence, and the line that a proxy appends
 * would be among them, so the listener reads all that fit into the size limit and refuses too many.
 */
const HEADER_LINES = 100;
/** How much of a request is still read once it has been answered: in bytes, and in milliseconds. */
const UNREAD_BYTES = 65_536;
const UNREAD_MS = 2000;

/** Wraps the application: it gets only requests that every HTTP parser reads in the same way. */
export function behindFront(application: RequestListener): RequestListener {
  return (request, response) => {
    stopReadingAfter(request, response);
    if (request.rawHeaders.length > 2 * HEADER_LINES)
      return refuse(response, 431, 'too_many_headers', `at most ${HEADER_LINES} header lines`);
    // HTTP/1.0 has no chunks (RFC 9112 §6.1), and a request line without a version is HTTP/0.9: a proxy in front
    // would have seen another message end than we do.
    const { httpVersion } = request;
    if (httpVersion !== '1.1' && (httpVersion !== '1.0' || request.headers['transfer-encoding'] !== undefined))
      return refuse(response, 400, 'bad_request', 'send HTTP/1.1');
    application(request, response);
  };
}

/** Answers a request that expects something else than 100 Continue (RFC 9110 §10.1.1). */
export const refuseExpectation: RequestListener = (request, response) => {
  stopReadingAfter(request, response);
  refuse(response, 417, 'bad_request', 'expect nothing, or 100-continue');
};

/**
 * Asks for a body that the client holds back (RFC 9110 §10.1.1). To be called once the request has been accepted so
 * far: whoever is refused before is never asked to send anything.
 */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  // In HTTP/1.0 the header means nothing, and a client would take the 100 for the answer.
  if (request.httpVersion === '1.1' && /\b100-continue\b/i.test(request.headers.expect ?? '')) response.writeContinue();
}

function refuse(response: ServerResponse, status: number, error: string, hint: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' })
    .end(JSON.stringify({ error, hint }));
}

/**
 * Closes the connection of a request that goes on after its answer. Node would read all of it and throw it away,
 * gigabytes from somebody whose credential was refused; what is already on its way may come, so that the client
 * reads the answer and the connection can be used again.
 */
function stopReadingAfter(request: IncomingMessage, response: ServerResponse): void {
  response.once('prefinish', () => {
    if (request.complete) return;
    let size = 0;
    const cut = () => request.socket.destroy();
    const timer = setTimeout(cut, UNREAD_MS);
    // The body is read here and counted. A listener on the socket would take it from the HTTP parser.
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > UNREAD_BYTES) cut();
    });
    request.on('error', () => {});
    request.once('close', () => clearTimeout(timer));
    // Begins at once: when the answer is written, Node would else begin to throw the body away.
    request.read(0);
    request.resume();
  });
}
