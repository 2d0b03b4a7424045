/** The application behind the TCP port: sends back what it gets. Run as `node echo-main.js HOST PORT`. */

import { createServer } from 'node:net';

const [host = '', port = ''] = process.argv.slice(2);
createServer(socket => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(Number(port), host);
