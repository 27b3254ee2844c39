// A user logs in at an application that runs in the browser alone (oidc-page.html).
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })
const page = await browser.newPage()
page.setDefaultTimeout(90_000)
await page.goto(process.argv[2])
await page.fill('#username', ask.username)
await page.fill('#password', ask.password)
await page.click('form button')
const met = await (await page.waitForFunction(() => window.met)).jsonValue()
await browser.close()
console.log(JSON.stringify(met))
