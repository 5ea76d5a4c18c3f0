// HTTP with Node's cluster: as many processes as asked for share the port. Usage: cluster.js PORT WORKERS
const cluster = require('cluster');
const http = require('http');
const [port, count] = process.argv.slice(2).map(Number);

if (cluster.isPrimary) {
  let ready = 0;
  cluster.on('listening', () => {
    if (++ready === count) console.log(`listening ${port}`);
  });
  for (let i = 0; i < count; i++) cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  const server = http.createServer((request, response) => {
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.end('hello');
  });
  server.keepAliveTimeout = 75000;
  server.listen({ host: '127.0.0.1', port, backlog: 4096 });
}
