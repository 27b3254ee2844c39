// Uses a Keyturn server with simple-oauth2, from the issuer's URL alone. The first
// answer to each refresh is lost on the way. It reads what to do from standard input
// and prints the tokens that it got. The library has no private_key_jwt and no
// introspection, and wants a secret.
import { strict as assert } from 'node:assert'
import { text } from 'node:stream/consumers'
import { ClientCredentials, ResourceOwnerPassword } from 'simple-oauth2'

const ask = JSON.parse(await text(process.stdin))
const server = await (await fetch(ask.issuer + '/.well-known/oauth-authorization-server')).json()
const config = {
  client: { id: ask.client_id, secret: ask.client_secret },
  auth: {
    tokenHost: ask.issuer,
    tokenPath: server.token_endpoint,
    refreshPath: server.token_endpoint,
    revokePath: server.revocation_endpoint,
  },
}

let lost = 0
// refresh asks once more where the answer did not arrive.
const refresh = (session) =>
  session.refresh().catch((error) => {
    if (error.data?.payload) throw error
    lost++
    return session.refresh()
  })
const refusal = (error) => error.data?.payload?.error ?? String(error)

let session = await new ResourceOwnerPassword(config).getToken({ username: ask.username, password: ask.password })
const tokens = { password: session.token.access_token }
const spent = new Set([session.token.refresh_token])
for (let i = 0; i < 3; i++) {
  session = await refresh(session)
  assert(!spent.has(session.token.refresh_token), 'the refresh token did not change')
  spent.add(session.token.refresh_token)
}
tokens.refresh_token = session.token.access_token

// One of its audiences, by name; another is refused, also by name.
const own = new ClientCredentials(config)
tokens.client_credentials = (await own.getToken({ resource: ask.audience })).token.access_token
assert.equal(await own.getToken({ resource: ask.resource }).then(() => 'nothing', refusal), 'invalid_target')

await session.revoke('refresh_token')
const refused = await refresh(session).then(() => 'nothing', refusal)
const did = [...Object.keys(tokens), 'revocation', 'resource']
process.stdout.write(JSON.stringify({ tokens, refreshes: spent.size - 1, lost, refused, did }))
