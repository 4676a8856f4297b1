// The official client library against the gateway, as a program would use it. The environment names the library
// (CLIENT), the gateway (PORT), keys, account and customer, and the sandbox's remote control (SANDBOX).
'use strict';
const assert = require('node:assert');
const test = require('node:test');
const http = require('node:http');
const Stripe = require(process.env.CLIENT).default ?? require(process.env.CLIENT);

const {PORT, KEY, ACCOUNT, CUSTOMER, SANDBOX} = process.env;
// No connection is kept: node would wait for it at the end.
const httpAgent = new http.Agent({keepAlive: false});
const place = {host: '127.0.0.1', port: Number(PORT), protocol: 'http', httpAgent, timeout: 15000};
const client = (more = {}, key = KEY) => new Stripe(key, {...place, maxNetworkRetries: 0, stripeAccount: ACCOUNT, ...more});
const stripe = client();

// One rule for the sandbox, away again when the work is done.
const control = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request(`${SANDBOX}/_sandbox/${path}`, {method, headers: {'content-type': 'application/json'}}, (answer) => {
      let text = '';
      answer.on('data', (piece) => (text += piece));
      answer.on('end', () => resolve(JSON.parse(text)));
    });
    request.on('error', reject);
    request.end(body ? JSON.stringify(body) : undefined);
  });
const faulty = async (rule, work) => {
  const {id} = await control('POST', 'faults', {account: ACCOUNT, ...rule});
  try {
    return await work();
  } finally {
    await control('DELETE', `faults/${id}`);
  }
};
const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail('it should have failed');
};

test('creates an invoice with lines, from end to end', async () => {
  const invoice = await stripe.invoices.create({
    customer: CUSTOMER,
    collection_method: 'send_invoice',
    days_until_due: 30,
    auto_advance: false,
    description: 'Gr\u00fc\u00dfe & more',
    metadata: {order: '7'},
    footer: 'Thank you',
  });
  assert.strictEqual(invoice.object, 'invoice');
  assert.strictEqual(invoice.description, 'Gr\u00fc\u00dfe & more');
  assert.deepStrictEqual({...invoice.metadata}, {order: '7'});
  await stripe.invoiceItems.create({customer: CUSTOMER, invoice: invoice.id, amount: 700, currency: 'usd'});
  const updated = await stripe.invoices.update(invoice.id, {description: 'later'});
  assert.strictEqual(updated.total, 700);
  const open = await stripe.invoices.finalizeInvoice(invoice.id);
  assert.strictEqual(open.status, 'open');
  await stripe.invoices.sendInvoice(invoice.id);
  assert.strictEqual((await stripe.invoices.retrieve(invoice.id)).number, open.number);
  assert.strictEqual((await stripe.invoices.voidInvoice(invoice.id)).status, 'void');
  assert.strictEqual((await stripe.invoices.retrieve(invoice.id)).status, 'void');
});

test('tells request id, status and replay', async () => {
  const options = {idempotencyKey: `k${Math.random()}`};
  const first = await stripe.invoices.create({customer: CUSTOMER}, options);
  const again = await stripe.invoices.create({customer: CUSTOMER}, options);
  assert.strictEqual(again.id, first.id);
  assert.match(first.lastResponse.requestId, /^[0-9a-f-]{36}$/);
  assert.strictEqual(first.lastResponse.statusCode, 200);
  assert.strictEqual(again.lastResponse.headers['idempotent-replayed'], 'true');
});

test('StripeIdempotencyError', async () => {
  const options = {idempotencyKey: `k${Math.random()}`};
  await stripe.invoices.create({customer: CUSTOMER}, options);
  const error = await failure(stripe.invoices.create({customer: CUSTOMER, description: 'else'}, options));
  assert.ok(error instanceof Stripe.errors.StripeIdempotencyError, error.constructor.name);
  assert.strictEqual(error.statusCode, 400);
});

test('StripeInvalidRequestError, of the gateway and of the upstream', async () => {
  const missing = await failure(stripe.invoices.create({}));
  assert.ok(missing instanceof Stripe.errors.StripeInvalidRequestError, missing.constructor.name);
  assert.strictEqual(missing.param, 'customer');
  assert.strictEqual(missing.code, 'parameter_missing');
  const nobody = await failure(stripe.invoices.create({customer: 'cus_nobody'}));
  assert.ok(nobody instanceof Stripe.errors.StripeInvalidRequestError);
  assert.strictEqual(nobody.code, 'resource_missing');
  const unknown = await failure(stripe.invoices.retrieve('in_nobody'));
  assert.ok(unknown instanceof Stripe.errors.StripeInvalidRequestError);
  assert.strictEqual(unknown.statusCode, 404);
});

test('StripeAuthenticationError and StripePermissionError', async () => {
  const stranger = client({}, `igk_live_${'0'.repeat(36)}`);
  const error = await failure(stranger.invoices.create({customer: CUSTOMER}));
  assert.ok(error instanceof Stripe.errors.StripeAuthenticationError, error.constructor.name);
  assert.ok((await failure(stranger.invoices.list())) instanceof Stripe.errors.StripeAuthenticationError);
  const narrow = client({}, process.env.NARROW_KEY);
  const refused = await failure(narrow.invoices.list());
  assert.ok(refused instanceof Stripe.errors.StripePermissionError, refused.constructor.name);
});

test('StripeAPIError', async () => {
  const error = await faulty({fault: 'unauthorized', step: 'invoice', count: 1}, () => failure(stripe.invoices.create({customer: CUSTOMER})));
  assert.ok(error instanceof Stripe.errors.StripeAPIError, error.constructor.name);
  assert.strictEqual(error.statusCode, 502);
});

test('StripeRateLimitError', async () => {
  // The limits of the web server in front: more at once than a caller may ask.
  const limited = client({port: Number(process.env.LIMITED_PORT)});
  const answers = await Promise.allSettled(Array.from({length: 60}, () => limited.invoices.list({limit: 1})));
  const refused = answers.filter((answer) => answer.status === 'rejected').map((answer) => answer.reason);
  assert.ok(refused.length > 0);
  for (const error of refused) assert.ok(error instanceof Stripe.errors.StripeRateLimitError, `${error.constructor.name}: ${error.message}`);
});

test('StripeConnectionError', async () => {
  const error = await failure(client({port: 1}).invoices.list());
  assert.ok(error instanceof Stripe.errors.StripeConnectionError);
});

test('lists page by page by itself', async () => {
  const mine = [];
  for (let n = 0; n < 12; n++) mine.push((await stripe.invoices.create({customer: CUSTOMER, description: `page ${n}`})).id);
  const seen = [];
  for await (const invoice of stripe.invoices.list({limit: 5, customer: CUSTOMER})) seen.push(invoice.id);
  for (const id of mine) assert.strictEqual(seen.filter((other) => other === id).length, 1);
  const page = await stripe.invoices.list({limit: 3, status: 'draft', created: {gte: 1}});
  assert.strictEqual(page.data.length, 3);
  assert.strictEqual(page.has_more, true);
  const back = await stripe.invoices.list({limit: 2, status: 'draft', ending_before: page.data[2].id});
  assert.deepStrictEqual(back.data.map((i) => i.id), page.data.slice(0, 2).map((i) => i.id));
});

for (const fault of ['reset_after', 'status_500_after', 'status_409', 'cut_body'])
  test(`one invoice under ${fault}`, async () => {
    const patient = client({maxNetworkRetries: 3});
    const description = `once ${Math.random()}`;
    const invoice = await faulty({fault, step: 'invoice', count: 1}, () => patient.invoices.create({customer: CUSTOMER, description}));
    const all = [];
    for await (const other of stripe.invoices.list({limit: 100, customer: CUSTOMER})) all.push(other);
    assert.deepStrictEqual(all.filter((other) => other.description === description).map((other) => other.id), [invoice.id]);
  });

test('maxNetworkRetries brings a slow upstream to its end', async () => {
  const patient = client({maxNetworkRetries: 10});
  const description = `slow ${Math.random()}`;
  const invoice = await faulty({fault: 'hang', step: 'invoice', count: 2}, () => patient.invoices.create({customer: CUSTOMER, description}));
  assert.strictEqual(invoice.description, description);
});

test('test mode', async () => {
  const tester = client({}, process.env.TEST_KEY);
  const invoice = await tester.invoices.create({customer: process.env.TEST_CUSTOMER});
  assert.strictEqual(invoice.livemode, false);
});
