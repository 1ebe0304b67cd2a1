// One HTTP service of a little shop with nothing but OpenTelemetry's own SDK and HTTP instrumentation; which of the three
// it is, is its OTEL_SERVICE_NAME. Every host name resolves to loopback, so that nothing it calls is outside the machine.
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { NodeSDK } = require('@opentelemetry/sdk-node');

const sdk = new NodeSDK({ instrumentations: [new HttpInstrumentation()] });
sdk.start();

// Required behind the SDK, which patches it.
const http = require('node:http');

const { OTEL_SERVICE_NAME, PORT, ORDERS_URL, INVENTORY_URL } = process.env;

function lookup(_host, options, callback) {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
}

/** Resolves to the answer's status and text. */
function call(url, method = 'GET') {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, lookup }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

async function readBody(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

/** Each answers with a status and a text. */
const ROUTES = {
  gateway: {
    'GET /orders': ({ pathname }) => call(`${ORDERS_URL}${pathname}`),
    'POST /orders': () => call(`${ORDERS_URL}/orders`, 'POST'),
    'GET /invitations': () => call(`${ORDERS_URL}/orders/1`),
    // Both fetch whatever they are told to: server-side request forgery, by body and by query.
    'POST /avatars': async (_url, request) => call(JSON.parse(await readBody(request)).source),
    'GET /preview': ({ searchParams }) => call(searchParams.get('url')),
  },
  orders: {
    'GET /orders': () => call(`${INVENTORY_URL}/stock/4711`),
    'POST /orders': async () => {
      await call(`${INVENTORY_URL}/stock/4711`);
      return call(`${INVENTORY_URL}/reservations`, 'POST');
    },
  },
  inventory: {
    'GET /stock': async () => ({ status: 200, text: '17' }),
    'POST /reservations': async () => ({ status: 201, text: 'reserved' }),
  },
}[OTEL_SERVICE_NAME];

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const route = ROUTES[`${request.method} /${url.pathname.split('/')[1]}`];
  const { status, text } = route === undefined ? { status: 404, text: '' } : await route(url, request);
  response.writeHead(status).end(text);
}

const server = http.createServer((request, response) => {
  serve(request, response).catch((error) => response.writeHead(502).end(String(error)));
});
server.listen(Number(PORT), '127.0.0.1', () => process.send({ port: server.address().port }));

process.once('message', () => {
  server.close(async () => {
    await sdk.shutdown();
    process.disconnect();
  });
});
