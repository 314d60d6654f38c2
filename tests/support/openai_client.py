"""What users of the official client do, against hone's server. openai_client.py URL"""
import sys
import openai
from openai import OpenAI
from pydantic import BaseModel
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="unused", max_retries=0)
model = client.models.list().data[0].id
assert client.models.retrieve(model).id == model
ask = dict(model=model, messages=[{"role": "user", "content": "What is the capital of France?"}], temperature=0, max_completion_tokens=10)
whole = client.chat.completions.create(**ask, logprobs=True, top_logprobs=2)
text = whole.choices[0].message.content
assert "Paris" in text and whole.usage.total_tokens > 10 and len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
pieces = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == text and pieces[-1].usage.completion_tokens == whole.usage.completion_tokens
with client.chat.completions.stream(**ask) as stream:
    for _ in stream: pass
    assert stream.get_final_completion().choices[0].message.content == text
many = client.chat.completions.create(model=model, messages=ask["messages"], n=2, seed=3, max_tokens=4, stop=["\n\n"])
assert len(many.choices) == 2
scored = client.completions.create(model=model, prompt="One two three", max_tokens=0, echo=True, logprobs=1).choices[0]
assert scored.logprobs.tokens == ["One", " two", " three"] and scored.logprobs.token_logprobs[0] is None
class Person(BaseModel):
    name: str
    age: int
made = client.chat.completions.parse(model=model, messages=[{"role": "user", "content": "Make up a person as JSON."}], response_format=Person, temperature=0)
assert made.choices[0].finish_reason == "length" or isinstance(made.choices[0].message.parsed, Person)
for wrong, error in ((dict(ask, model="gpt-5"), openai.NotFoundError), (dict(ask, messages=[]), openai.BadRequestError), (dict(ask, temperature=9), openai.BadRequestError)):
    try:
        client.chat.completions.create(**wrong)
        raise SystemExit(f"{error.__name__} did not come")
    except error as e:
        assert e.body["message"] and e.request_id.startswith("req_")
