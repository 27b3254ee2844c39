// Somebody at the pages, in Chromium, from the sign-up to the new password after the
// passkey was lost. It reads a request in one line, prints the name of each page that a
// letter is to lead to, reads the link, and prints in the end what went wrong and what no
// log may have.
import { createInterface } from 'node:readline'
import { addAuthenticator, browser, expect, fill, follow, heading, person, wrong } from './people.mjs'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const read = async () => (await lines.next()).value
const ask = JSON.parse(await read())
const at = (path) => ask.issuer + path
const linkTo = async (page) => {
  console.log(page)
  return read()
}
const secrets = []
const who = (page) => page.textContent('.about strong')
const logOut = async (page) => {
  await page.goto(at('/account/logout'))
  await follow(page, 'form button')
}
const logIn = (page, password) => fill(page, { username: ask.username, password })

try {
  const { context, page } = await person()
  const authenticator = await addAuthenticator(page)
  const keepCookies = async () => secrets.push(...(await context.cookies()).map((c) => c.value))
  await page.goto(at('/account'))
  await follow(page, 'text=Create an account')
  await fill(page, { email: ask.username, first_name: 'Kay', new_password: ask.password })
  expect('after the sign-up', await heading(page), 'Look into your mail')
  await page.goto(await linkTo('confirm'))
  await fill(page, { password: 'a password of somebody else' })
  expect('what is wrong', await page.textContent('[role=alert]'), 'This is not the password that you chose when you signed up.')
  await fill(page, { password: ask.password })
  expect('who confirmed the address', await who(page), ask.username)
  await keepCookies()

  await logOut(page)
  await page.goto(at('/account/factors/app'))
  await logIn(page, ask.password)
  expect('where the log-in leads back to', page.url(), at('/account/factors/app'))
  await follow(page, '#passkey')
  expect('after a passkey was made', await heading(page), 'Recovery codes')
  const recovery = await page.$$eval('code', (list) => list.map((c) => c.textContent))
  expect('the recovery codes', recovery.length, 10)
  secrets.push(...recovery)
  await keepCookies()

  await logOut(page)
  await logIn(page, ask.password)
  await follow(page, '#passkey')
  expect('by password and passkey', await who(page), ask.username)

  await logOut(page)
  await authenticator.lose()
  await page.goto(at('/account/factors'))
  await logIn(page, ask.password)
  await page.click('#passkey')
  await page.waitForSelector('#passkey-failed')
  await fill(page, { code: recovery[0] })
  expect('where the recovery code leads back to', await page.$$eval('h2', (list) => list.map((h) => h.textContent)), ['Passkey – Chrome, Linux', 'Recovery codes'])
  await keepCookies()

  const other = await person()
  await other.page.goto(at('/account'))
  await follow(other.page, 'text=Forgotten your password?')
  await fill(other.page, { email: ask.username })
  expect('after the letter was asked for', await heading(other.page), 'Look into your mail')
  await other.page.goto(await linkTo('reset'))
  await fill(other.page, { new_password: ask.new_password })
  expect('what was done', await other.page.textContent('[role=status]'), 'Your password is set. You can log in with it now.')
  await page.goto(at('/account/factors'))
  expect('the session of before', await heading(page), 'Log in')
  await logIn(page, ask.new_password)
  await fill(page, { code: recovery[1] })
  await follow(page, 'text="Remove"')
  expect('the factors without the lost one', (await page.$$('h2')).length, 0)
  await logOut(page)
  await logIn(page, ask.new_password)
  expect('by the new password', await who(page), ask.username)
  await keepCookies()
} catch (error) {
  wrong.push(String(error))
}
await browser.close()
console.log(JSON.stringify({ wrong, secrets }))
process.exit()
