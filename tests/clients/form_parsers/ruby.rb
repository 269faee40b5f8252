# Whether Rack, on which Rails and Sinatra stand, reads a form from a body, by its Content-Type. Reads
# and writes as python.py does.

require "json"
require "stringio"
require "rack"

BODY = "a=read"

def reads(content_type)
  env = {
    "REQUEST_METHOD" => "POST", "QUERY_STRING" => "", "CONTENT_LENGTH" => BODY.length.to_s,
    "rack.input" => StringIO.new(BODY), "rack.errors" => StringIO.new,
  }
  env["CONTENT_TYPE"] = content_type.encode("ISO-8859-1").b if content_type
  Rack::Request.new(env).POST["a"].to_s.include?("read")
rescue StandardError
  false
end

raise "Rack reads no form at all" unless reads("application/x-www-form-urlencoded")
cases = STDIN.each_line.map { |line| JSON.parse("[#{line}]").first }
found = { version: Rack.release, reads: cases.map { |content_type| reads(content_type) } }
puts JSON.generate({ "Rack (Rails, Sinatra)" => found })
