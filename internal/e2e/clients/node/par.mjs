// Logs a user in with openid-client, which pushes the request beforehand (RFC 9126), with
// a browser that is no more than its cookies. It reads what to do from standard input and
// prints what came of it.
import { strict as assert } from 'node:assert'
import { text } from 'node:stream/consumers'
import * as client from 'openid-client'

const ask = JSON.parse(await text(process.stdin))
const config = await client.discovery(new URL(ask.issuer), ask.client_id, ask.client_secret, undefined, {
  execute: [client.allowInsecureRequests],
})
const cookies = new Map()
const visit = async (url, form) => {
  const response = await fetch(url, {
    redirect: 'manual',
    method: form ? 'POST' : 'GET',
    body: form,
    headers: { Cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
  })
  for (const cookie of response.headers.getSetCookie()) {
    const [name, value] = cookie.split(';')[0].split('=')
    cookies.set(name, value)
  }
  return response
}
const field = (page, name) =>
  page
    .match(new RegExp(`name="${name}" value="([^"]*)"`))[1]
    .replaceAll('&amp;', '&')
    .replaceAll('&#43;', '+')

const verifier = client.randomPKCECodeVerifier()
const nonce = client.randomNonce()
const request = {
  redirect_uri: 'http://127.0.0.1/callback',
  scope: 'openid email',
  state: client.randomState(),
  nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
}
const pushed = await client.buildAuthorizationUrlWithPAR(config, request)
const page = await (await visit(pushed)).text()
const form = new URLSearchParams({ username: ask.username, password: ask.password })
for (const name of ['token', 'request']) form.set(name, field(page, name))
const led = await visit(new URL('/account/login', ask.issuer), form)
const answer = await visit(new URL(led.headers.get('Location'), ask.issuer))
const tokens = await client.authorizationCodeGrant(config, new URL(answer.headers.get('Location')), {
  pkceCodeVerifier: verifier,
  expectedState: request.state,
  expectedNonce: nonce,
})
const again = await visit(pushed)
const plain = new URL((await visit(client.buildAuthorizationUrl(config, request))).headers.get('Location'))
const refused = await client
  .buildAuthorizationUrlWithPAR(config, { ...request, scope: 'everything' })
  .catch((error) => error)
assert(refused instanceof client.ResponseBodyError, String(refused))
process.stdout.write(
  JSON.stringify({
    members: [...pushed.searchParams.keys()].sort(),
    sub: tokens.claims().sub,
    again: again.status,
    plain: plain.searchParams.get('error'),
    refused: refused.error,
  }),
)
