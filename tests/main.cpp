// The entry point of every test program; the build names the module.
#define BOOST_TEST_MODULE REEVE_TEST_NAME
#include <boost/test/unit_test.hpp>
