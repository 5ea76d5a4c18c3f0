// HTTP with Node's own module.
const http = require('http');

const server = http.createServer((request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end('hello');
});
server.keepAliveTimeout = 75000;
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening ${server.address().port}`);
});
