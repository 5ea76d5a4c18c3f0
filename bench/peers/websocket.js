// A WebSocket echo server on Node's ws. Prints "listening PORT".
module.paths.push("/usr/share/nodejs");
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", backlog: 4096 });
server.on("connection", socket => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", () => {});
});
server.on("listening", () => console.log("listening " + server.address().port));
