// Which web frameworks of Node.js read a form from a body, by its Content-Type. Reads and writes as
// python.py does. The packages are looked up below the directory in the first argument.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { resolve } from "node:path";

const BODY = "a=read";

const require = createRequire(resolve(process.argv[2], "package.json"));
const version = (name) =>
  JSON.parse(readFileSync(resolve(process.argv[2], "node_modules", name, "package.json"))).version;

// Each returns a listening server that answers with the value of `a`.
const frameworks = {
  "Express (body-parser)": ["express", () => {
    const express = require("express");
    const app = express();
    app.use(express.urlencoded({ extended: true }));
    app.post("/", (request, response) => response.send(String(request.body?.a)));
    app.use((error, request, response, next) => response.status(400).end());
    return createServer(app);
  }],
  "Koa (koa-body)": ["koa-body", () => {
    const Koa = require("koa");
    const { koaBody } = require("koa-body");
    const app = new Koa();
    app.silent = true;
    app.use(koaBody({ multipart: true }));
    app.use((context) => { context.body = String(context.request.body?.a); });
    return createServer(app.callback());
  }],
  "Koa (koa-bodyparser)": ["koa-bodyparser", () => {
    const Koa = require("koa");
    const parser = require("koa-bodyparser");
    const app = new Koa();
    app.silent = true;
    app.use((parser.bodyParser ?? parser.default ?? parser)());
    app.use((context) => { context.body = String(context.request.body?.a); });
    return createServer(app.callback());
  }],
  "Fastify (formbody)": ["@fastify/formbody", async () => {
    const app = require("fastify")();
    app.register(require("@fastify/formbody"));
    app.post("/", async (request) => String(request.body?.a));
    await app.ready();
    return app.server;
  }],
  "hapi": ["@hapi/hapi", async () => {
    const server = require("@hapi/hapi").server({ port: 0, host: "127.0.0.1", autoListen: false });
    server.route({ method: "POST", path: "/", handler: (request) => String(request.payload?.a) });
    await server.initialize();
    return server.listener;
  }],
  "busboy (Multer)": ["busboy", () => createServer((request, response) => {
    try {
      const busboy = require("busboy")({ headers: request.headers });
      const found = [];
      busboy.on("field", (name, value) => name === "a" && found.push(value));
      busboy.on("error", () => response.end());
      busboy.on("close", () => response.end(found.join()));
      request.pipe(busboy);
    } catch {
      response.end();
    }
  })],
  "formidable": ["formidable", () => createServer((request, response) => {
    const formidable = require("formidable");
    (formidable.formidable ?? formidable)().parse(request, (error, fields) => {
      response.end(String(fields?.a));
    });
  })],
};

// Sends the request byte for byte, and returns whether the framework read the form.
function reads(port, contentType) {
  const type = contentType === null ? "" : `Content-Type: ${contentType}\r\n`;
  const head = `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${BODY.length}\r\n`;
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    let response = "";
    socket.setEncoding("latin1");
    socket.on("data", (text) => { response += text; });
    socket.on("close", () => done(response.split("\r\n\r\n").slice(1).join("").includes("read")));
    socket.on("error", () => {});
    socket.write(Buffer.from(`${head}${type}\r\n${BODY}`, "latin1"));
  });
}

const cases = [];
for await (const line of createInterface({ input: process.stdin })) cases.push(JSON.parse(line));
const found = {};
for (const [name, [module, make]] of Object.entries(frameworks)) {
  const server = await make();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  if (!(await reads(port, "application/x-www-form-urlencoded"))) throw new Error(`${name} reads no form at all`);
  const read = [];
  for (const contentType of cases) read.push(await reads(port, contentType));
  found[name] = { version: version(module), reads: read };
}
process.stdout.write(JSON.stringify(found), () => process.exit(0));
