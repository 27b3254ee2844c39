// Uses a Keyturn server with oauth4webapi alone, from the issuer's URL. The
// first answer to each refresh is lost on the way. It reads what to do from
// standard input and prints the tokens that it got.
import { strict as assert } from 'node:assert'
import { text } from 'node:stream/consumers'
import { decodeJwt, importPKCS8 } from 'jose'
import * as oauth from 'oauth4webapi'

const ask = JSON.parse(await text(process.stdin))
const issuer = new URL(ask.issuer)
const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }),
)
const client = { client_id: ask.client_id }
const auth = ask.client_secret ? oauth.ClientSecretBasic(ask.client_secret) : oauth.None()

const login = await oauth.processGenericTokenEndpointResponse(
  as,
  client,
  await oauth.genericTokenEndpointRequest(as, client, auth, 'password', {
    username: ask.username,
    password: ask.password,
  }),
)
const tokens = { password: login.access_token }

let lost = 0
const refresh = async (token) => {
  const request = () => oauth.refreshTokenGrantRequest(as, client, auth, token)
  const response = await request().catch(() => {
    lost++
    return request()
  })
  return oauth.processRefreshTokenResponse(as, client, response)
}
let refreshed = login
const spent = new Set([login.refresh_token])
for (let i = 0; i < 3; i++) {
  refreshed = await refresh(refreshed.refresh_token)
  assert(!spent.has(refreshed.refresh_token), 'the refresh token did not change')
  spent.add(refreshed.refresh_token)
}
tokens.refresh_token = refreshed.access_token

const grantForItself = async (who, by, parameters = {}) =>
  oauth.processClientCredentialsResponse(
    as,
    who,
    await oauth.clientCredentialsGrantRequest(as, who, by, parameters),
  )
const revoke = async (who, by, token) =>
  oauth.processRevocationResponse(await oauth.revocationRequest(as, who, by, token))
const active = async (who, by, token) =>
  (
    await oauth.processIntrospectionResponse(
      as,
      who,
      await oauth.introspectionRequest(as, who, by, token),
    )
  ).active

if (ask.client_secret) {
  tokens.client_credentials = (await grantForItself(client, auth)).access_token
  // The secret in the body counts as much.
  await grantForItself(client, oauth.ClientSecretPost(ask.client_secret))
  assert.equal(await active(client, auth, refreshed.refresh_token), true)
}
await revoke(client, auth, refreshed.refresh_token)
if (ask.client_secret) assert.equal(await active(client, auth, refreshed.access_token), false)

const keyed = { client_id: ask.keyed_id }
const key = await importPKCS8(ask.private_keys.ES256, 'ES256')
const byKey = oauth.PrivateKeyJwt({ key, kid: 'ES256' })
const own = await grantForItself(keyed, byKey, { resource: ask.resource })
assert.equal(await active(keyed, byKey, own.access_token), true)
await revoke(keyed, byKey, own.access_token)
assert.equal(await active(keyed, byKey, own.access_token), false)

const refused = await refresh(refreshed.refresh_token).catch((error) => error)
assert(refused instanceof oauth.ResponseBodyError, String(refused))
process.stdout.write(
  JSON.stringify({
    tokens,
    keyed: decodeJwt(own.access_token),
    refreshes: spent.size - 1,
    lost,
    refused: refused.error,
    did: [...Object.keys(tokens), 'private_key_jwt', 'resource', 'introspection', 'revocation'],
  }),
)
