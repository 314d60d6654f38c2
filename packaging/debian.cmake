# The Debian package, made by CPack (`make package`). Its dependencies are read off the program's own libraries.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hone)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "hone maintainers <maintainers@hone.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "from a task and some examples to a measured language model, on your own machine")
set(CPACK_PACKAGE_DESCRIPTION "hone takes a GenAI project through scope, prompt, evaluation and deployment in one native program:
 it audits the data, runs prompts on real language models, and compares them with honest statistics.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# hone pull fetches the default model from a Python package.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-pip, ca-certificates")
include(CPack)
