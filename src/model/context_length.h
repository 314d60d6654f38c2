/* The context window that a model's file names, without opening the model: for a vocabulary alone, which has no shape.
 *
 *     int context = hn_model_context_of("SmolLM2-135M-Instruct.Q4_1.gguf");      // 8192; 0: the file does not say
 *
 * Threading: a pure function of the file. */
#ifndef HN_MODEL_CONTEXT_LENGTH_H
#define HN_MODEL_CONTEXT_LENGTH_H

int hn_model_context_of(const char *path);

#endif
