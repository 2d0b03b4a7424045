/**
 * The demo's application: answers every request with who it is and what its sidecar told it about the
 * caller. It knows nothing of the mesh. Run as `node workload.js NAME HOST PORT`.
 */

import { createServer } from 'node:http';

const [name = '', host = '', port = ''] = process.argv.slice(2);

const server = createServer((request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => {
    const answer = {
      servedBy: name,
      method: request.method,
      path: request.url,
      host: request.headers.host,
      forwardedClientCert: request.headers['x-forwarded-client-cert'] ?? null,
      marker: request.headers['x-marker'] ?? null,
      bodyBytes: bytes,
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(answer)}\n`);
  });
});

server.listen(Number(port), host);
