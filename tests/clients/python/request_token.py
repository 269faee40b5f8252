"""Asks for temporary credentials with requests-oauthlib, unmodified, and prints as JSON what it gets.

Reads its parameters as JSON from the first argument.
"""

import json
import sys

import requests
from requests_oauthlib import OAuth1

GIVEN = json.loads(sys.argv[1])

answer = requests.post(GIVEN["url"], auth=OAuth1(*GIVEN["consumer"], callback_uri=GIVEN["callback"]), timeout=60)
json.dump({"status": answer.status_code, "body": answer.json()}, sys.stdout)
