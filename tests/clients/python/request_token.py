"""Requests temporary credentials with an unmodified requests-oauthlib, and prints the response as JSON.

Reads its parameters as JSON from the first argument.
"""

import json
import sys

import requests
from requests_oauthlib import OAuth1

GIVEN = json.loads(sys.argv[1])

answer = requests.post(GIVEN["url"], auth=OAuth1(*GIVEN["consumer"], callback_uri=GIVEN["callback"]), timeout=60)
json.dump({"status": answer.status_code, "body": answer.json()}, sys.stdout)
